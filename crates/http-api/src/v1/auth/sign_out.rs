use actix_web::{HttpRequest, HttpResponse, post, web};
use remotegpu_control_plane::{Anyone, Person};
use remotegpu_edge::{ApiError, SessionCaller, cookie_name, session_cookies};
use time::Duration;

use super::session_cookie;
use crate::{Api, api::rng};

/// Sign out
///
/// The session ends at once, everywhere.
#[utoipa::path(
    tag = "auth",
    responses((status = 204, description = "Signed out; the cookie is cleared.")),
)]
#[post("/v1/auth/sign-out")]
pub(crate) async fn sign_out(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Anyone>>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let sessions = &*api.ports.sessions;
    remotegpu_control_plane::sign_out(sessions, &caller, &mut rng(), api.now()).await?;
    let mut answer = HttpResponse::NoContent();
    let name = cookie_name(api.edge.public_url().is_https());
    if session_cookies(request.headers(), name).next().is_some() {
        let mut cookie = session_cookie(&api, "");
        cookie.set_max_age(Duration::ZERO);
        answer.cookie(cookie);
    }
    Ok(answer.finish())
}
