use actix_web::{get, web};
use remotegpu_control_plane::Read;
use remotegpu_edge::{ApiError, Query, SessionCaller};

use super::KubeconfigTokenResponse;
use crate::{
    Api,
    v1::list::{ListParams, ListResponse},
};

/// List kubeconfigs with a token
///
/// Those that open something, newest first: one's own; an admin sees all of the account.
#[utoipa::path(
    tag = "kubeconfig",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<KubeconfigTokenResponse>)),
)]
#[get("/v1/account/kubeconfig-tokens")]
pub(crate) async fn list_kubeconfig_tokens(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<KubeconfigTokenResponse>>, ApiError> {
    let (tokens, page, now) = (&*api.ports.kubeconfig_tokens, query.page()?, api.now());
    let page = remotegpu_control_plane::list_kubeconfig_tokens(tokens, &caller, page, now).await?;
    Ok(web::Json(ListResponse::new(
        &page,
        KubeconfigTokenResponse::new,
    )))
}
