//! What `scopes` may look like in a request. The handlers give the text to
//! `Scopes::parse`, whose sentences are exact (contract K10); these types only
//! describe it, to the letter of contract K11: `false` and an empty
//! `namespace_ids` count as absent.

#![allow(dead_code, reason = "only the description is used")]

use serde::Deserialize;
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use super::{always, only};

fn never() -> Object {
    only(false)
}

/// What a key shall be able to do: exactly one of the three modes.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ScopesRequest {
    All(AllScopesRequest),
    Inference(InferenceScopesRequest),
    KubernetesExec(KubernetesExecScopesRequest),
}

/// Inference and every namespace of the account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllScopesRequest {
    #[schema(schema_with = always)]
    all: bool,
    #[schema(schema_with = never)]
    inference: Option<bool>,
}

/// Inference only.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferenceScopesRequest {
    #[schema(schema_with = always)]
    inference: bool,
    #[schema(schema_with = never)]
    all: Option<bool>,
}

/// Kubernetes credentials only.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KubernetesExecScopesRequest {
    kubernetes_exec: NamespaceAccessRequest,
    #[schema(schema_with = never)]
    all: Option<bool>,
    #[schema(schema_with = never)]
    inference: Option<bool>,
}

/// For which namespaces a key shall get Kubernetes credentials.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum NamespaceAccessRequest {
    All(AllNamespacesRequest),
    Only(OnlyNamespacesRequest),
}

/// Every namespace of the account, those made later included.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllNamespacesRequest {
    #[schema(schema_with = always)]
    all_namespaces: bool,
    #[schema(max_items = 0, nullable = false)]
    namespace_ids: Option<Vec<Uuid>>,
}

/// These and no others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlyNamespacesRequest {
    #[schema(min_items = 1, max_items = 100)]
    namespace_ids: Vec<Uuid>,
    #[schema(schema_with = never)]
    all_namespaces: Option<bool>,
}
