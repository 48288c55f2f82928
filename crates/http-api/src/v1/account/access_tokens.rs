//! Access tokens (contract T1 to T5).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use remotegpu_access_tokens::{AccessToken, TokenNote};
use remotegpu_control_plane::IssuedAccessToken;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::words::open;

/// An access token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessTokenResponse {
    /// What clusters call it too.
    #[schema(example = "cwtoken-4k0q8z1x7c")]
    id: String,
    #[schema(example = "laptop")]
    name: String,
    /// What its holder noted beside it.
    #[schema(required = true)]
    note: Option<String>,
    /// What may be shown of the secret.
    #[schema(example = "rgat_0a1b2c3d")]
    prefix: String,
    #[schema(schema_with = open::<AccessTokenStatusWord>)]
    status: &'static str,
    /// The names of the clusters that it opens, in the order in which they were chosen.
    #[schema(example = json!(["fra1"]))]
    clusters: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The user that it stands for.
    created_by: Uuid,
    /// When it ends by itself; `null` means never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    expires_at: Option<OffsetDateTime>,
    /// When it last opened a cluster; up to a minute behind.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_used_at: Option<OffsetDateTime>,
}

/// An access token with its secret and the file that holds it, which are told in this answer
/// and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedAccessTokenResponse {
    #[serde(flatten)]
    item: AccessTokenResponse,
    /// The secret.
    #[schema(example = "rgat_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2bTQiP")]
    token: String,
    /// What to save the file as, for nobody else to read (`chmod 600`).
    #[schema(example = "CWKubeconfig_cwtoken-4k0q8z1x7c-laptop")]
    filename: String,
    /// The file's content: YAML, with the secret inside.
    kubeconfig: String,
}

/// Where an access token is in its life.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum AccessTokenStatusWord {
    Active,
    Expired,
}

impl AccessTokenResponse {
    fn new(token: &AccessToken, now: OffsetDateTime) -> Self {
        let clusters = token.clusters.iter();
        Self {
            id: token.handle.as_str().to_owned(),
            name: token.name.as_str().to_owned(),
            note: token.note.clone().map(TokenNote::into_string),
            prefix: token.prefix.as_str().to_owned(),
            status: token.status(now).as_str(),
            clusters: clusters.map(|name| name.as_str().to_owned()).collect(),
            created_at: token.created_at,
            created_by: token.created_by.as_uuid(),
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

impl IssuedAccessTokenResponse {
    fn new(issued: &IssuedAccessToken, now: OffsetDateTime) -> Self {
        Self {
            item: AccessTokenResponse::new(&issued.token, now),
            token: issued.secret.reveal().to_owned(),
            filename: issued.file.name().to_owned(),
            kubeconfig: issued.file.reveal().to_owned(),
        }
    }
}
