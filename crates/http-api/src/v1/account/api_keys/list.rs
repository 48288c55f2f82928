use actix_web::{get, web};
use remotegpu_control_plane::Read;
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::ApiKeyResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List API keys
///
/// Newest first; revoked and expired ones as well.
#[utoipa::path(
    tag = "api-keys",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<ApiKeyResponse>)),
)]
#[get("/v1/account/api-keys")]
pub(crate) async fn list_api_keys(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<ApiKeyResponse>>, ApiError> {
    let (keys, now) = (&*api.ports.keys, api.now());
    let page = remotegpu_control_plane::list_api_keys(keys, &caller, query.page()?).await?;
    let item = |key: &_| ApiKeyResponse::new(key, now);
    Ok(web::Json(ListResponse::new(&page, item)))
}
