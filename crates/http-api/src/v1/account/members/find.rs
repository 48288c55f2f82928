use actix_web::{get, web};
use remotegpu_control_plane::{Person, Read};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::UserId;

use super::MemberResponse;
use crate::Api;

/// Get one member
///
/// A person of the account.
#[utoipa::path(
    tag = "members",
    params(("user_id" = uuid::Uuid, Path, description = "The person.")),
    responses(
        (status = 200, description = "The person.", body = MemberResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/members/{user_id}")]
pub(crate) async fn get_member(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    id: PathId<UserId>,
) -> Result<web::Json<MemberResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let found = remotegpu_control_plane::find_member(&*api.ports.members, &caller, id).await?;
    let member = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(MemberResponse::new(&member)))
}
