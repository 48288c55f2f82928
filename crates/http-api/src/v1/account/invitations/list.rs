use actix_web::{get, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::InvitationResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List invitations
///
/// Those that are open, newest first.
#[utoipa::path(
    tag = "members",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<InvitationResponse>)),
)]
#[get("/v1/account/invitations")]
pub(crate) async fn list_invitations(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    query: Query,
) -> Result<web::Json<ListResponse<InvitationResponse>>, ApiError> {
    let (invitations, page, now) = (&*api.ports.invitations, query.page()?, api.now());
    let listed = remotegpu_control_plane::list_invitations(invitations, &caller, page, now);
    let item = InvitationResponse::new;
    Ok(web::Json(ListResponse::new(&listed.await?, item)))
}
