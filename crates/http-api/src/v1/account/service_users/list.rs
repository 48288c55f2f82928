use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::ServiceUserResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List service users
///
/// Newest first.
#[utoipa::path(
    tag = "service-users",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<ServiceUserResponse>)),
)]
#[get("/v1/account/service-users")]
pub(crate) async fn list_service_users(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    query: Query,
) -> Result<web::Json<ListResponse<ServiceUserResponse>>, ApiError> {
    let service_users = &*api.ports.service_users;
    let page = remotegpu_control_plane::list_service_users(service_users, &caller, query.page()?);
    Ok(web::Json(ListResponse::new(
        &page.await?,
        ServiceUserResponse::new,
    )))
}
