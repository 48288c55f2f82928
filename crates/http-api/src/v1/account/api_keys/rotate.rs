use actix_web::{post, web};
use remotegpu_control_plane::{RotateApiKeyPorts, Write};
use remotegpu_edge::{ApiError, PathId, SessionCaller};
use remotegpu_primitives::ApiKeyId;
use serde::Deserialize;
use time::Duration;
use utoipa::ToSchema;
use validator::Validate;

use super::{IssuedApiKeyResponse, existing};
use crate::{Api, api::rng, json_body::JsonBody, wire};

/// How a key is rotated.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateApiKeyRequest {
    /// For how long the old secret works on, in seconds.
    #[serde(default, deserialize_with = "wire::whole")]
    #[validate(range(min = 0, max = 86_400, message = "must be a number from 0 to 86400"))]
    #[schema(minimum = 0, maximum = 86400, default = 0)]
    grace_seconds: i64,
}

/// Give an API key a new secret
///
/// Identifier, name, scopes and history stay. The answer holds the new secret,
/// once; of older secrets at most the last one works on.
#[utoipa::path(
    tag = "api-keys",
    params(("key_id" = uuid::Uuid, Path, description = "The key.")),
    request_body = RotateApiKeyRequest,
    responses(
        (status = 200, description = "The key and its new secret.", body = IssuedApiKeyResponse),
        (status = 404, description = "`api_key_not_found`"),
        (status = 409, description = "`key_not_active`"),
        (status = 429, description = "`rate_limited`: the account creates and rotates keys too often"),
    ),
)]
#[post("/v1/account/api-keys/{key_id}/rotate")]
pub(crate) async fn rotate_api_key(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Write>,
    id: PathId<ApiKeyId>,
    body: JsonBody,
) -> Result<web::Json<IssuedApiKeyResponse>, ApiError> {
    let id = existing(&api, &caller, id).await?;
    let wanted: RotateApiKeyRequest = body.read().await?;
    let grace = Duration::seconds(wanted.grace_seconds);
    let ports = RotateApiKeyPorts {
        keys: &*api.ports.keys,
        signals: &api.ports.signals,
        limits: &api.ports.key_changes,
    };
    let (rng, now) = (&mut rng(), api.now());
    let issued = remotegpu_control_plane::rotate_api_key(ports, &caller, id, grace, rng, now);
    Ok(web::Json(IssuedApiKeyResponse::new(&issued.await?, now)))
}
