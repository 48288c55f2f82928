use actix_web::{HttpResponse, delete, web};
use remotegpu_control_plane::{Read, end_kubeconfig_token};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::KubeconfigTokenId;

use crate::{Api, api::rng};

/// End a kubeconfig with a token
///
/// The token in it opens nothing any more.
#[utoipa::path(
    tag = "kubeconfig",
    params(("token_id" = uuid::Uuid, Path, description = "The kubeconfig with a token.")),
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/account/kubeconfig-tokens/{token_id}")]
pub(crate) async fn delete_kubeconfig_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<KubeconfigTokenId>,
) -> Result<HttpResponse, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let (tokens, signals) = (&*api.ports.kubeconfig_tokens, &*api.ports.signals);
    let (rng, now) = (&mut rng(), api.now());
    if end_kubeconfig_token(tokens, signals, &caller, id, rng, now).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ErrorCode::NotFound.into())
    }
}
