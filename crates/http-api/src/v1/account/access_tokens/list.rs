use actix_web::{get, web};
use remotegpu_control_plane::{Person, Read};
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::AccessTokenResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List access tokens
///
/// One's own, and an admin's list has those of all members; newest first; expired ones as
/// well.
#[utoipa::path(
    tag = "access-tokens",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<AccessTokenResponse>)),
)]
#[get("/v1/account/access-tokens")]
pub(crate) async fn list_access_tokens(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    query: Query,
) -> Result<web::Json<ListResponse<AccessTokenResponse>>, ApiError> {
    let (tokens, now) = (&*api.ports.access_tokens, api.now());
    let page = remotegpu_control_plane::list_access_tokens(tokens, &caller, query.page()?).await?;
    let item = |token: &_| AccessTokenResponse::new(token, now);
    Ok(web::Json(ListResponse::new(&page, item)))
}
