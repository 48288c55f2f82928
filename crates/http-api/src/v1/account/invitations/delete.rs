use actix_web::{HttpResponse, delete, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::InvitationId;

use crate::{Api, api::rng};

/// Take an invitation back
///
/// Its link opens nothing any more.
#[utoipa::path(
    tag = "members",
    params(("invitation_id" = uuid::Uuid, Path, description = "The invitation.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/account/invitations/{invitation_id}")]
pub(crate) async fn delete_invitation(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<InvitationId>,
) -> Result<HttpResponse, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let (invitations, rng, now) = (&*api.ports.invitations, &mut rng(), api.now());
    remotegpu_control_plane::delete_invitation(invitations, &caller, id, rng, now).await?;
    Ok(HttpResponse::NoContent().finish())
}
