use actix_web::{post, web};
use remotegpu_control_plane::{Anyone, Person};
use remotegpu_edge::{ApiError, ErrorCode, SessionCaller};
use remotegpu_primitives::AccountId;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::SessionResponse;
use crate::{Api, api::rng, json_body::JsonBody};

/// Which account to act for.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwitchAccountRequest {
    #[schema(value_type = uuid::Uuid)]
    account_id: String,
}

/// Act for another account
///
/// The session acts for one account at a time; this is any of those that the
/// user is a member of.
#[utoipa::path(
    tag = "auth",
    request_body = SwitchAccountRequest,
    responses(
        (status = 200, description = "The session, acting for that account.", body = SessionResponse),
        (status = 404, description = "`not_found`: the user is no member of such an account"),
    ),
)]
#[post("/v1/auth/session/account")]
pub(crate) async fn switch_account(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Anyone>>,
    body: JsonBody,
) -> Result<web::Json<SessionResponse>, ApiError> {
    let wanted: SwitchAccountRequest = body.read().await?;
    let id: AccountId = wanted.account_id.parse().map_err(|_| ErrorCode::NotFound)?;
    let (sessions, users) = (&*api.ports.sessions, &*api.ports.users);
    let (rng, now) = (&mut rng(), api.now());
    let switched = remotegpu_control_plane::switch_account(sessions, users, &caller, id, rng, now);
    let membership = switched.await?.ok_or(ErrorCode::NotFound)?;
    let (account, role) = (&membership.account, &membership.role);
    let (context, policy) = (caller.context(), api.edge.session_policy());
    let session = SessionResponse::for_account(context, account, role, policy);
    Ok(web::Json(session))
}
