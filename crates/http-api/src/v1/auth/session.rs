use actix_web::{get, web};
use remotegpu_accounts::Membership;
use remotegpu_control_plane::{Anyone, Asking, Caller, list_own_accounts};
use remotegpu_edge::{ApiError, SessionCaller};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AccountResponse, RoleWord, UserResponse};
use crate::{Api, openapi::words::open};

/// An account, and what one may do there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnMembershipResponse {
    id: Uuid,
    #[schema(example = "Analytical Engines")]
    name: String,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
}

impl OwnMembershipResponse {
    fn new(membership: &Membership) -> Self {
        Self {
            id: membership.account.id.as_uuid(),
            name: membership.account.name.as_str().to_owned(),
            role: membership.role.as_str().to_owned(),
        }
    }
}

/// Who is calling, and for which account: a user, or a service user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallerResponse {
    /// The person who is signed in, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    user: Option<UserResponse>,
    /// The machine that has shown its token, where one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    service_user: Option<CallingServiceUserResponse>,
    account: AccountResponse,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
    /// When the session ends if it is not used any more, or the token ends.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// For which accounts they can act: the oldest membership first, without those that are
    /// suspended.
    accounts: Vec<OwnMembershipResponse>,
}

/// A machine that manages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallingServiceUserResponse {
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
}

impl CallerResponse {
    fn new(api: &Api, caller: &Caller<Anyone>, accounts: &[Membership]) -> Self {
        let account = AccountResponse::new(caller.account());
        let accounts = accounts.iter().map(OwnMembershipResponse::new).collect();
        match caller.asking() {
            Asking::Person(context) => Self {
                user: Some(UserResponse::new(context.user.id, &context.user.email)),
                service_user: None,
                account,
                role: context.role.as_str().to_owned(),
                expires_at: context.session.expires_at(api.edge.session_policy()),
                accounts,
            },
            Asking::ServiceUser(context) => Self {
                user: None,
                service_user: Some(CallingServiceUserResponse {
                    id: context.service_user.id.as_uuid(),
                    name: context.service_user.name.as_str().to_owned(),
                }),
                account,
                role: context.service_user.role.as_str().to_owned(),
                expires_at: context.token.expires_at,
                accounts,
            },
        }
    }
}

/// Who is calling
///
/// And for which account: a person with a session, or a service user with its token; and for
/// which accounts they could.
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "Who it is.", body = CallerResponse)),
)]
#[get("/v1/auth/session")]
pub(crate) async fn get_session(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Anyone>,
) -> Result<web::Json<CallerResponse>, ApiError> {
    let accounts = list_own_accounts(&*api.ports.users, &caller).await?;
    Ok(web::Json(CallerResponse::new(&api, &caller, &accounts)))
}
