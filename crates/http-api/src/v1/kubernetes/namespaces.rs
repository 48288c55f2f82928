//! Namespaces (contract sections 4 and 5).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod exec_credential;
pub(crate) mod find;
pub(crate) mod kubeconfig;
pub(crate) mod kubeconfig_token;
pub(crate) mod list;
pub(crate) mod rename;

use remotegpu_control_plane::{Caller, Right, find_namespace};
use remotegpu_edge::{ApiError, ErrorCode, PathId};
use remotegpu_namespaces::Namespace;
use remotegpu_primitives::NamespaceId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Api, openapi::words::open};

/// A namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespaceResponse {
    id: Uuid,
    /// What the account calls it; it can change.
    #[schema(example = "team-ml")]
    name: String,
    /// What its cluster calls it, and manifests must: it never changes.
    #[schema(example = "team-ml-x7k2pq")]
    kubernetes_namespace: String,
    /// The name of the cluster it stands in.
    #[schema(example = "fra1")]
    cluster: String,
    #[schema(schema_with = open::<NamespaceStatusWord>)]
    status: String,
    /// What there is to know about the status.
    #[schema(required = true)]
    message: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// Where a namespace is in its life.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum NamespaceStatusWord {
    Provisioning,
    Active,
    Failed,
    Deleting,
}

impl NamespaceResponse {
    fn new(namespace: &Namespace) -> Self {
        Self {
            id: namespace.id.as_uuid(),
            name: namespace.name.as_str().to_owned(),
            kubernetes_namespace: namespace.kubernetes_namespace.as_str().to_owned(),
            cluster: namespace.cluster.as_str().to_owned(),
            status: namespace.status.as_str().to_owned(),
            message: namespace.message.clone(),
            created_at: namespace.created_at,
            updated_at: namespace.updated_at,
        }
    }
}

/// The namespace of the caller's account that a path names; it is asked for before
/// anything else of the request is judged (contract C5, N6).
async fn existing<R: Right>(
    api: &Api,
    caller: &Caller<R>,
    id: PathId<NamespaceId>,
) -> Result<Namespace, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_namespace(&*api.ports.namespaces, &caller.may()?, id).await?;
    found.ok_or_else(|| ErrorCode::NotFound.into())
}
