use actix_web::{get, web};
use remotegpu_access_tokens::TokenHandle;
use remotegpu_control_plane::{Person, Read, find_access_token};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};

use super::AccessTokenResponse;
use crate::Api;

/// Get an access token
///
/// One's own, or as an admin any member's; never its secret.
#[utoipa::path(
    tag = "access-tokens",
    params(("token_id" = String, Path, description = "The token.")),
    responses(
        (status = 200, description = "The token.", body = AccessTokenResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/account/access-tokens/{token_id}")]
pub(crate) async fn get_access_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    id: PathId<TokenHandle>,
) -> Result<web::Json<AccessTokenResponse>, ApiError> {
    let handle = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_access_token(&*api.ports.access_tokens, &caller, &handle).await?;
    let token = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(AccessTokenResponse::new(&token, api.now())))
}
