use actix_web::{get, web};
use remotegpu_edge::KeyCaller;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::v1::account::api_keys::{ScopesResponse, ShownScopes, scopes_response};

/// What a key may know about itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnApiKeyResponse {
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
    #[schema(example = "rgpu_0a1b2c3d")]
    prefix: String,
    #[schema(value_type = ScopesResponse)]
    scopes: ShownScopes,
    /// When the key ends by itself; `null` means never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    expires_at: Option<OffsetDateTime>,
}

/// What this API key is and may do
///
/// Why is it 403? This is the cheapest route that a key opens, and says what else it may.
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "The key that was sent.", body = OwnApiKeyResponse)),
)]
#[get("/v1/auth/key")]
pub(crate) async fn get_own_api_key(KeyCaller(holder): KeyCaller) -> web::Json<OwnApiKeyResponse> {
    let key = holder.into_presented().key;
    web::Json(OwnApiKeyResponse {
        id: key.id.as_uuid(),
        name: key.name.into_string(),
        prefix: key.prefix.into_string(),
        scopes: scopes_response(&key.scopes),
        expires_at: key.expires_at,
    })
}
