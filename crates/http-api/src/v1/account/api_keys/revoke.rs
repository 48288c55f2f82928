use actix_web::{post, web};
use remotegpu_control_plane::Write;
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::ApiKeyId;

use super::ApiKeyResponse;
use crate::{Api, api::rng};

/// Revoke an API key
///
/// It opens nothing any more, nor does any credential that it has opened.
#[utoipa::path(
    tag = "api-keys",
    params(("key_id" = uuid::Uuid, Path, description = "The key.")),
    responses(
        (status = 200, description = "The key, revoked.", body = ApiKeyResponse),
        (status = 404, description = "`api_key_not_found`"),
        (status = 409, description = "`key_not_active`"),
    ),
)]
#[post("/v1/account/api-keys/{key_id}/revoke")]
pub(crate) async fn revoke_api_key(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Write>,
    id: PathId<ApiKeyId>,
) -> Result<web::Json<ApiKeyResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::ApiKeyNotFound)?;
    let (keys, signals, now) = (&*api.ports.keys, &api.ports.signals, api.now());
    let (caller, rng) = (&caller, &mut rng());
    let revoked = remotegpu_control_plane::revoke_api_key(keys, signals, caller, id, rng, now);
    Ok(web::Json(ApiKeyResponse::new(&revoked.await?, now)))
}
