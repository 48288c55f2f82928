use actix_web::{get, web};
use remotegpu_control_plane::Read;
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::NamespaceResponse;
use crate::{
    Api,
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
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<NamespaceResponse>>, ApiError> {
    let namespaces = &*api.ports.namespaces;
    let page = remotegpu_control_plane::list_namespaces(namespaces, &caller, query.page()?).await?;
    Ok(web::Json(ListResponse::new(&page, NamespaceResponse::new)))
}
