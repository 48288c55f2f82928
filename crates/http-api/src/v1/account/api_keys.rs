//! API keys (contract section 3).

pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;
mod scopes_request;
pub(crate) mod update;

use remotegpu_control_plane::{Caller, IssuedApiKey, Write, find_api_key, find_foreign_namespaces};
use remotegpu_edge::{ApiError, ErrorCode, PathId};
use remotegpu_keys::ApiKey;
use remotegpu_primitives::ApiKeyId;
use remotegpu_scopes::{NamespaceAccess, Scopes, ScopesError};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Api,
    error::{foreign_namespaces, refuse_scopes},
    openapi::words::open,
    v1::fields::Fields,
};

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyResponse {
    /// Stays the same through rotations.
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
    /// What may be shown of the secret.
    #[schema(example = "rgpu_0a1b2c3d")]
    prefix: String,
    #[schema(value_type = ScopesResponse)]
    scopes: ShownScopes,
    #[schema(schema_with = open::<KeyStatusWord>)]
    status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The user, or service user, who answers for it.
    created_by: Uuid,
    /// When it ends by itself; `null` means never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    revoked_at: Option<OffsetDateTime>,
    /// When it last opened something; up to a minute behind.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_used_at: Option<OffsetDateTime>,
}

/// An API key with its secret, which is told in this answer and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedApiKeyResponse {
    #[serde(flatten)]
    item: ApiKeyResponse,
    /// The secret.
    #[schema(example = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V")]
    key: String,
}

/// Where a key is in its life.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum KeyStatusWord {
    Active,
    Expired,
    Revoked,
}

/// What a key may do: one of the three members. While versions change, what a newer one
/// wrote is shown as it is; where this one answers, it opens nothing.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ScopesResponse {
    /// `true`: inference and every namespace of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    all: Option<bool>,
    /// `true`: inference only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    inference: Option<bool>,
    /// Kubernetes credentials only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kubernetes_exec: Option<NamespaceAccessResponse>,
}

/// Scopes as they are answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ShownScopes {
    Known(ScopesResponse),
    /// A newer version's, as they stand in the store (contract R6).
    Newer(Box<RawValue>),
}

/// For which namespaces a key gets Kubernetes credentials: one of the two members.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct NamespaceAccessResponse {
    /// `true`: every namespace of the account, those made later included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    all_namespaces: Option<bool>,
    /// These and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 1, max_items = 100)]
    namespace_ids: Option<Vec<Uuid>>,
}

/// The canonical form: one member, never `false`, identifiers sorted (contract K1).
pub(crate) fn scopes_response(scopes: &Scopes) -> ShownScopes {
    let mut shown = ScopesResponse::default();
    match scopes {
        Scopes::All => shown.all = Some(true),
        Scopes::Inference => shown.inference = Some(true),
        Scopes::KubernetesExec(access) => {
            let mut named = NamespaceAccessResponse::default();
            match access {
                NamespaceAccess::All => named.all_namespaces = Some(true),
                NamespaceAccess::Only(ids) => {
                    named.namespace_ids = Some(ids.iter().map(|id| id.as_uuid()).collect());
                }
            }
            shown.kubernetes_exec = Some(named);
        }
        Scopes::Unknown(stored) => return ShownScopes::Newer(as_it_is(stored)),
    }
    ShownScopes::Known(shown)
}

/// A newer version's scopes (contract R6); none where it is no JSON object at all.
fn as_it_is(stored: &str) -> Box<RawValue> {
    let is_object = serde_json::from_str::<Map<String, Value>>(stored).is_ok();
    let shown = if is_object { stored } else { "{}" };
    RawValue::from_string(shown.to_owned()).unwrap_or_default()
}

impl ApiKeyResponse {
    fn new(key: &ApiKey, now: OffsetDateTime) -> Self {
        Self {
            id: key.id.as_uuid(),
            name: key.name.as_str().to_owned(),
            prefix: key.prefix.as_str().to_owned(),
            scopes: scopes_response(&key.scopes),
            status: key.status(now).as_str(),
            created_at: key.created_at,
            created_by: key.created_by.as_uuid(),
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

impl IssuedApiKeyResponse {
    fn new(issued: &IssuedApiKey, now: OffsetDateTime) -> Self {
        Self {
            item: ApiKeyResponse::new(&issued.key, now),
            key: issued.secret.reveal().to_owned(),
        }
    }
}

/// The key of the caller's account that a path names; it is asked for before
/// the body is read (contract C5, K7).
async fn existing(
    api: &Api,
    caller: &Caller<Write>,
    id: PathId<ApiKeyId>,
) -> Result<ApiKeyId, ApiError> {
    let id = id.known().ok_or(ErrorCode::ApiKeyNotFound)?;
    let found = find_api_key(&*api.ports.keys, &caller.may()?, id).await?;
    found.ok_or(ErrorCode::ApiKeyNotFound)?;
    Ok(id)
}

/// What a key may do, as a request says it. What only the database knows to be wrong is
/// asked for where something else is wrong already (contract C2); else the act finds it.
async fn judge_scopes(
    fields: &mut Fields,
    raw: &RawValue,
    api: &Api,
    caller: &Caller<Write>,
) -> Result<Option<Scopes>, ApiError> {
    let (scopes, is_wrong) = match Scopes::parse(raw.get()) {
        Ok(scopes) => (scopes, false),
        Err(ScopesError::UnknownNamespaces { others, .. }) => {
            (Scopes::KubernetesExec(NamespaceAccess::Only(others)), true)
        }
        Err(error) => {
            refuse_scopes(fields, &error);
            return Ok(None);
        }
    };
    if is_wrong || !fields.is_empty() {
        let foreign = find_foreign_namespaces(&*api.ports.namespaces, caller, &scopes).await?;
        if is_wrong || !foreign.is_empty() {
            let refusal = foreign_namespaces(raw.get(), &foreign);
            let named = refusal.errors().to_vec();
            fields.refuse_all("scopes", refusal, named, false);
        }
    }
    Ok((!is_wrong).then_some(scopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_answered_in_canonical_form() {
        // K1
        for payload in [
            r#"{"all":true}"#,
            r#"{"inference":true}"#,
            r#"{"kubernetes_exec":{"all_namespaces":true}}"#,
            r#"{"kubernetes_exec":{"namespace_ids":["0198c0de-0000-7000-8000-00000000000a"]}}"#,
        ] {
            let scopes = Scopes::parse(payload).unwrap();
            let answered = serde_json::to_string(&scopes_response(&scopes)).unwrap();
            assert_eq!(answered, payload);
            assert_eq!(answered, scopes.to_string());
        }
    }

    #[test]
    fn scopes_that_a_newer_version_wrote_are_answered_as_they_stand() {
        // R6
        let check = |stored: &str, expected: &str| {
            let scopes = Scopes::from_stored(stored.to_owned());
            let answered = serde_json::to_string(&scopes_response(&scopes)).unwrap();
            assert_eq!(answered, expected);
        };
        let newer = r#"{"volumes":{"read":true},"all":false}"#;
        check(newer, newer);
        check("no JSON", "{}");
        check("[1]", "{}");
        check(r#"{"inference":true}"#, r#"{"inference":true}"#);
    }
}
