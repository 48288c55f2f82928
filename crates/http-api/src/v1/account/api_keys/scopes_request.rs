//! What `scopes` may look like in a request. The handlers give the text to
//! `Scopes::parse`, whose sentences are exact (contract K10); these types only describe
//! it. One flat object says less than there is to say, and every generator of clients
//! understands it: that exactly one member counts is told in words.

#![allow(dead_code, reason = "only the description is used")]

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a key shall be able to do: exactly one of the three. `false` counts as absent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, examples(json!({"kubernetes_exec": {"all_namespaces": true}})))]
pub(super) struct ScopesRequest {
    /// Inference and every namespace of the account.
    #[schema(nullable = false)]
    all: Option<bool>,
    /// Inference only.
    #[schema(nullable = false)]
    inference: Option<bool>,
    /// Kubernetes credentials only.
    #[schema(nullable = false)]
    kubernetes_exec: Option<NamespaceAccessRequest>,
}

/// For which namespaces a key shall get Kubernetes credentials: exactly one of the two.
/// `false` and an empty list count as absent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct NamespaceAccessRequest {
    /// Every namespace of the account, those made later included.
    #[schema(nullable = false)]
    all_namespaces: Option<bool>,
    /// These and no others.
    #[schema(nullable = false, max_items = 100)]
    namespace_ids: Option<Vec<Uuid>>,
}
