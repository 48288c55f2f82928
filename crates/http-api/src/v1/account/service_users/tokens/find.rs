use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, ErrorCode, PathId, ServiceUserId, SessionCaller};
use remotegpu_primitives::ServiceUserTokenId;

use super::{super::existing, ServiceUserTokenResponse};
use crate::Api;

/// Get one token of a service user
///
/// Without its secret.
#[utoipa::path(
    tag = "service-users",
    params(
        ("service_user_id" = uuid::Uuid, Path, description = "The service user."),
        ("token_id" = uuid::Uuid, Path, description = "The token."),
    ),
    responses(
        (status = 200, description = "The token.", body = ServiceUserTokenResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/service-users/{service_user_id}/tokens/{token_id}")]
pub(crate) async fn get_service_user_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    token: PathId<ServiceUserTokenId>,
) -> Result<web::Json<ServiceUserTokenResponse>, ApiError> {
    let id = existing(&api, &caller, id).await?.id;
    let token = token.known().ok_or(ErrorCode::NotFound)?;
    let service_users = &*api.ports.service_users;
    let found =
        remotegpu_control_plane::find_service_user_token(service_users, &caller, id, token).await?;
    let found = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(ServiceUserTokenResponse::new(&found)))
}
