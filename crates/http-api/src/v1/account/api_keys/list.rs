use actix_web::{get, web};

use super::ApiKeyResponse;
use crate::{
    Api,
    error::ApiError,
    extract::{Query, Read, SessionCaller},
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
    caller: SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<ApiKeyResponse>>, ApiError> {
    let (account, now) = (caller.context.account.id, api.now());
    let page = api.ports.keys.list(account, query.page()?).await?;
    let item = |key: &_| ApiKeyResponse::new(key, now);
    Ok(web::Json(ListResponse::new(&page, item)))
}
