use actix_web::{get, web};
use remotegpu_control_plane::{Read, find_api_key};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::ApiKeyId;

use super::ApiKeyResponse;
use crate::Api;

/// Get one API key
///
/// Whatever its state, without its secret.
#[utoipa::path(
    tag = "api-keys",
    params(("key_id" = uuid::Uuid, Path, description = "The key.")),
    responses(
        (status = 200, description = "The key.", body = ApiKeyResponse),
        (status = 404, description = "`api_key_not_found`"),
    ),
)]
#[get("/v1/account/api-keys/{key_id}")]
pub(crate) async fn get_api_key(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<ApiKeyId>,
) -> Result<web::Json<ApiKeyResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::ApiKeyNotFound)?;
    let found = find_api_key(&*api.ports.keys, &caller, id).await?;
    let key = found.ok_or(ErrorCode::ApiKeyNotFound)?;
    Ok(web::Json(ApiKeyResponse::new(&key, api.now())))
}
