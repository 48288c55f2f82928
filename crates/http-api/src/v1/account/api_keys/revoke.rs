use actix_web::{post, web};
use remotegpu_primitives::ApiKeyId;

use super::ApiKeyResponse;
use crate::{
    Api,
    error::{ApiError, ErrorCode},
    extract::{PathId, SessionCaller, Write},
};

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
    caller: SessionCaller<Write>,
    id: PathId<ApiKeyId>,
) -> Result<web::Json<ApiKeyResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::ApiKeyNotFound)?;
    let (keys, signals, now) = (&*api.ports.keys, &api.ports.signals, api.now());
    let key = (caller.context.account.id, id);
    let act = caller.act(now);
    let revoked = remotegpu_control_plane::revoke_api_key(keys, signals, key, &act).await?;
    Ok(web::Json(ApiKeyResponse::new(&revoked, now)))
}
