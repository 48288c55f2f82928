use actix_web::{get, web};
use remotegpu_control_plane::{Read, find_kubeconfig_token};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::KubeconfigTokenId;

use super::KubeconfigTokenResponse;
use crate::Api;

/// Get a kubeconfig with a token
///
/// What is known of it, without file and token, as long as it opens something.
#[utoipa::path(
    tag = "kubeconfig",
    params(("token_id" = uuid::Uuid, Path, description = "The kubeconfig with a token.")),
    responses(
        (status = 200, description = "What is known of it.", body = KubeconfigTokenResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/kubeconfig-tokens/{token_id}")]
pub(crate) async fn get_kubeconfig_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<KubeconfigTokenId>,
) -> Result<web::Json<KubeconfigTokenResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let tokens = &*api.ports.kubeconfig_tokens;
    let found = find_kubeconfig_token(tokens, &caller, id, api.now()).await?;
    let token = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(KubeconfigTokenResponse::new(&token)))
}
