use actix_web::{HttpResponse, delete, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, ErrorCode, PathId, ServiceUserId, SessionCaller};
use remotegpu_primitives::ServiceUserTokenId;

use crate::{Api, api::rng};

/// Delete a token of a service user
///
/// It opens nothing any more.
#[utoipa::path(
    tag = "service-users",
    params(
        ("service_user_id" = uuid::Uuid, Path, description = "The service user."),
        ("token_id" = uuid::Uuid, Path, description = "The token."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/account/service-users/{service_user_id}/tokens/{token_id}")]
pub(crate) async fn delete_service_user_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    token: PathId<ServiceUserTokenId>,
) -> Result<HttpResponse, ApiError> {
    let ServiceUserId(id) = id.known().ok_or(ErrorCode::NotFound)?;
    let token = token.known().ok_or(ErrorCode::NotFound)?;
    let service_users = &*api.ports.service_users;
    let (which, rng, now) = ((id, token), &mut rng(), api.now());
    let deleted =
        remotegpu_control_plane::delete_service_user_token(service_users, &caller, which, rng, now);
    if deleted.await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ErrorCode::NotFound.into())
    }
}
