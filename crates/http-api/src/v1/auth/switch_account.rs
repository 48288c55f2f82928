use actix_web::{post, web};
use remotegpu_primitives::AccountId;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::SessionResponse;
use crate::{
    Api,
    error::{ApiError, ErrorCode},
    extract::{Anyone, JsonBody, SessionCaller},
};

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
    caller: SessionCaller<Anyone>,
    body: JsonBody,
) -> Result<web::Json<SessionResponse>, ApiError> {
    let wanted: SwitchAccountRequest = body.read().await?;
    let id: AccountId = wanted.account_id.parse().map_err(|_| ErrorCode::NotFound)?;
    let context = &caller.context;
    if !api
        .ports
        .sessions
        .switch_account(context.session.id, id, &caller.act(api.now()))
        .await?
    {
        return Err(ErrorCode::NotFound.into());
    }
    let memberships = api.ports.users.memberships(context.user.id).await?;
    let membership = memberships
        .iter()
        .find(|membership| membership.account.id == id)
        .ok_or(ErrorCode::NotFound)?;
    let (account, role) = (&membership.account, &membership.role);
    let policy = api.edge.session_policy();
    Ok(web::Json(SessionResponse::for_account(
        context, account, role, policy,
    )))
}
