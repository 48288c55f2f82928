use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, PathId, ServiceUserId, SessionCaller};

use super::{ServiceUserResponse, existing};
use crate::Api;

/// Get one service user
///
/// Its name and role.
#[utoipa::path(
    tag = "service-users",
    params(("service_user_id" = uuid::Uuid, Path, description = "The service user.")),
    responses(
        (status = 200, description = "The service user.", body = ServiceUserResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/service-users/{service_user_id}")]
pub(crate) async fn get_service_user(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
) -> Result<web::Json<ServiceUserResponse>, ApiError> {
    let found = existing(&api, &caller, id).await?;
    Ok(web::Json(ServiceUserResponse::new(&found)))
}
