use actix_web::{get, web};

use super::NamespaceResponse;
use crate::{
    Api,
    error::ApiError,
    extract::{Query, Read, SessionCaller},
    v1::list::{ListParams, ListResponse},
};

/// List namespaces
///
/// Newest first.
#[utoipa::path(
    tag = "namespaces",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<NamespaceResponse>)),
)]
#[get("/v1/kubernetes/namespaces")]
pub(crate) async fn list_namespaces(
    api: web::Data<Api>,
    caller: SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<NamespaceResponse>>, ApiError> {
    let account = caller.context.account.id;
    let page = api.ports.namespaces.list(account, query.page()?).await?;
    Ok(web::Json(ListResponse::new(&page, NamespaceResponse::new)))
}
