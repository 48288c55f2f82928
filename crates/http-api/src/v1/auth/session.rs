use actix_web::{get, web};
use remotegpu_control_plane::Anyone;
use remotegpu_edge::{ApiError, ErrorCode, SessionCaller};

use super::SessionResponse;
use crate::Api;

/// Who is signed in
///
/// And for which account the session acts.
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "The session.", body = SessionResponse)),
)]
#[get("/v1/auth/session")]
pub(crate) async fn get_session(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Anyone>,
) -> Result<web::Json<SessionResponse>, ApiError> {
    let policy = api.edge.session_policy();
    let context = caller.session().ok_or(ErrorCode::NotForServiceUsers)?;
    Ok(web::Json(SessionResponse::new(context, policy)))
}
