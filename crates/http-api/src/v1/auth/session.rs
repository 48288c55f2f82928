use actix_web::{get, web};

use super::SessionResponse;
use crate::{
    Api,
    extract::{Anyone, SessionCaller},
};

/// Who is signed in
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "The session.", body = SessionResponse)),
)]
#[get("/v1/auth/session")]
pub(crate) async fn get_session(
    api: web::Data<Api>,
    caller: SessionCaller<Anyone>,
) -> web::Json<SessionResponse> {
    let policy = api.edge.session_policy();
    web::Json(SessionResponse::new(&caller.context, policy))
}
