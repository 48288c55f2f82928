use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, PathId, Query, ServiceUserId, SessionCaller};

use super::{super::existing, ServiceUserTokenResponse};
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List a service user's tokens
///
/// Newest first; those that have expired as well.
#[utoipa::path(
    tag = "service-users",
    params(("service_user_id" = uuid::Uuid, Path, description = "The service user."), ListParams),
    responses(
        (status = 200, description = "A page of them.", body = ListResponse<ServiceUserTokenResponse>),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/service-users/{service_user_id}/tokens")]
pub(crate) async fn list_service_user_tokens(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    query: Query,
) -> Result<web::Json<ListResponse<ServiceUserTokenResponse>>, ApiError> {
    let id = existing(&api, &caller, id).await?.id;
    let (service_users, page) = (&*api.ports.service_users, query.page()?);
    let page =
        remotegpu_control_plane::list_service_user_tokens(service_users, &caller, id, page).await?;
    let item = ServiceUserTokenResponse::new;
    Ok(web::Json(ListResponse::new(&page, item)))
}
