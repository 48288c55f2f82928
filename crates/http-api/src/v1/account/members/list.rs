use actix_web::{get, web};
use remotegpu_control_plane::{Person, Read};
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::MemberResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List members
///
/// The people of the account; those whose user is newest first.
#[utoipa::path(
    tag = "members",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<MemberResponse>)),
)]
#[get("/v1/account/members")]
pub(crate) async fn list_members(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    query: Query,
) -> Result<web::Json<ListResponse<MemberResponse>>, ApiError> {
    let members = &*api.ports.members;
    let page = remotegpu_control_plane::list_members(members, &caller, query.page()?).await?;
    Ok(web::Json(ListResponse::new(&page, MemberResponse::new)))
}
