//! Kubeconfigs with a token in them (contract T9): what is known of those that open something.

pub(crate) mod end;
pub(crate) mod find;
pub(crate) mod list;

use remotegpu_namespaces::KubeconfigToken;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::words::open;

/// A kubeconfig with a token in it, without either.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KubeconfigTokenResponse {
    id: Uuid,
    /// The namespace that it opens.
    namespace_id: Uuid,
    /// What it may do there.
    #[schema(schema_with = open::<ClusterRoleWord>)]
    cluster_role: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Who made it.
    created_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// The cluster role that a token is bound to: what keys may do, or a look at all but secrets.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum ClusterRoleWord {
    #[schema(rename = "remotegpu:tenant")]
    Tenant,
    #[schema(rename = "remotegpu:viewer")]
    Viewer,
}

impl KubeconfigTokenResponse {
    pub(crate) fn new(token: &KubeconfigToken) -> Self {
        Self {
            id: token.id.as_uuid(),
            namespace_id: token.namespace_id.as_uuid(),
            cluster_role: token.access.cluster_role(),
            created_at: token.created_at,
            created_by: token.created_by.as_uuid(),
            expires_at: token.expires_at,
        }
    }
}
