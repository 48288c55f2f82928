use actix_web::{HttpResponse, delete, web};
use remotegpu_access_tokens::TokenHandle;
use remotegpu_control_plane::{Person, Read};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};

use crate::{Api, api::rng};

/// Delete an access token
///
/// One's own, or as an admin any member's. Clusters refuse it within seconds.
#[utoipa::path(
    tag = "access-tokens",
    params(("token_id" = String, Path, description = "The token.")),
    responses(
        (status = 204, description = "It opens nothing any more."),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/account/access-tokens/{token_id}")]
pub(crate) async fn delete_access_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    id: PathId<TokenHandle>,
) -> Result<HttpResponse, ApiError> {
    let handle = id.known().ok_or(ErrorCode::NotFound)?;
    let (tokens, rng, now) = (&*api.ports.access_tokens, &mut rng(), api.now());
    let deleted =
        remotegpu_control_plane::delete_access_token(tokens, &caller, &handle, rng, now).await?;
    if deleted {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ErrorCode::NotFound.into())
    }
}
