use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::InvitationId;

use super::InvitationResponse;
use crate::Api;

/// Get one invitation
///
/// An open one of the account.
#[utoipa::path(
    tag = "members",
    params(("invitation_id" = uuid::Uuid, Path, description = "The invitation.")),
    responses(
        (status = 200, description = "The invitation.", body = InvitationResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/invitations/{invitation_id}")]
pub(crate) async fn get_invitation(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<InvitationId>,
) -> Result<web::Json<InvitationResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let (invitations, now) = (&*api.ports.invitations, api.now());
    let found = remotegpu_control_plane::find_invitation(invitations, &caller, id, now).await?;
    let invitation = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(InvitationResponse::new(&invitation)))
}
