use actix_web::{get, web};
use remotegpu_control_plane::Anyone;
use remotegpu_edge::SessionCaller;

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
) -> web::Json<SessionResponse> {
    let policy = api.edge.session_policy();
    web::Json(SessionResponse::new(caller.context(), policy))
}
