use std::time::Instant;

use actix_web::{post, web};
use remotegpu_control_plane::{MintExecCredentialPorts, mint_exec_credential};
use remotegpu_edge::{ApiError, ErrorCode, KeyCaller, PathId};
use remotegpu_namespaces::ExecCredential;
use remotegpu_primitives::NamespaceId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{Api, api::rng, mint_metrics::MINTED};

/// What `kubectl` takes from a plugin.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecCredentialResponse {
    #[schema(example = "client.authentication.k8s.io/v1")]
    api_version: &'static str,
    #[schema(example = "ExecCredential")]
    kind: &'static str,
    status: ExecCredentialStatus,
}

/// A token for the namespace's cluster.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecCredentialStatus {
    token: String,
    /// Until when it may be used, in whole seconds.
    #[serde(with = "time::serde::rfc3339")]
    expiration_timestamp: OffsetDateTime,
}

impl ExecCredentialResponse {
    fn new(credential: &ExecCredential) -> Self {
        Self {
            api_version: "client.authentication.k8s.io/v1",
            kind: "ExecCredential",
            status: ExecCredentialStatus {
                token: credential.token.reveal().to_owned(),
                expiration_timestamp: credential.expires_at,
            },
        }
    }
}

/// Get a Kubernetes credential
///
/// Takes an API key and answers an `ExecCredential`, bare, so that plain `curl`
/// can be a plugin of `kubectl`. A body is ignored.
#[utoipa::path(
    tag = "kubeconfig",
    params(("namespace_id" = uuid::Uuid, Path, description = "The namespace.")),
    responses(
        (status = 200, description = "A fresh token.", body = ExecCredentialResponse),
        (status = 403, description = "`exec_not_allowed`: the key's scopes do not name this namespace, or there is no such namespace"),
        (status = 429, description = "`rate_limited`: this key asks too often for this namespace"),
        (status = 503, description = "`namespace_provisioning`, `cluster_unavailable`, `token_without_expiration`, `database_unavailable`, `overloaded`"),
    ),
)]
#[post("/v1/kubernetes/namespaces/{namespace_id}/exec-credential")]
pub(crate) async fn create_exec_credential(
    api: web::Data<Api>,
    KeyCaller(holder): KeyCaller,
    id: PathId<NamespaceId>,
) -> Result<web::Json<ExecCredentialResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::ExecNotAllowed)?;
    let ports = MintExecCredentialPorts {
        keys: &*api.ports.keys,
        namespaces: &*api.ports.namespaces,
        identities: &*api.ports.identities,
        known: &api.ports.known_identities,
        uses: &api.ports.identity_uses,
        mint: &*api.ports.mint,
        signals: &api.ports.signals,
        limits: &api.ports.mint_limits,
        lifetime: api.config.token_lifetime,
        audit: &api.ports.audit,
        token_request_took: &|took| api.metrics.token_request_took(took),
    };
    let started = Instant::now();
    let minted = mint_exec_credential(ports, &holder, id, &mut rng(), api.now()).await;
    let minted = minted.map_err(ApiError::from);
    let outcome = minted
        .as_ref()
        .map_or_else(|error| error.code().as_str(), |_| MINTED);
    api.metrics.mint_ended(outcome, started.elapsed());
    Ok(web::Json(ExecCredentialResponse::new(&minted?)))
}

#[cfg(test)]
mod tests {
    use remotegpu_namespaces::PlainClusterToken;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_credential_is_bare_and_in_whole_seconds() {
        // X7
        let credential = ExecCredential {
            token: PlainClusterToken::new("t".to_owned()),
            token_id: None,
            expires_at: datetime!(2026-01-01 01:00 UTC),
        };
        let answered = serde_json::to_string(&ExecCredentialResponse::new(&credential)).unwrap();
        assert_eq!(
            answered,
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-01-01T01:00:00Z"}}"#
        );
    }
}
