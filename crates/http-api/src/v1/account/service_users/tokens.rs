//! Tokens of service users (contract T8).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;

use remotegpu_accounts::ServiceUserToken;
use remotegpu_control_plane::IssuedServiceUserToken;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A service user's token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceUserTokenResponse {
    id: Uuid,
    #[schema(example = "main branch")]
    name: String,
    /// What may be shown of the secret.
    #[schema(example = "rgsu_0a1b2c3d")]
    prefix: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The user who made it.
    created_by: Uuid,
    /// When it ends by itself; it stays in the list until its place is needed.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it last opened something; up to a minute behind.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_used_at: Option<OffsetDateTime>,
}

/// A token with its secret, which is told in this answer and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedServiceUserTokenResponse {
    #[serde(flatten)]
    item: ServiceUserTokenResponse,
    /// The secret.
    #[schema(example = "rgsu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1t3RXk")]
    token: String,
}

impl ServiceUserTokenResponse {
    fn new(token: &ServiceUserToken) -> Self {
        Self {
            id: token.id.as_uuid(),
            name: token.name.as_str().to_owned(),
            prefix: token.prefix.as_str().to_owned(),
            created_at: token.created_at,
            created_by: token.created_by.as_uuid(),
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

impl IssuedServiceUserTokenResponse {
    fn new(issued: &IssuedServiceUserToken) -> Self {
        Self {
            item: ServiceUserTokenResponse::new(&issued.token),
            token: issued.secret.reveal().to_owned(),
        }
    }
}
