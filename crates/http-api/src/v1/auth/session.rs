use actix_web::{get, web};
use remotegpu_control_plane::{Anyone, Asking, Caller};
use remotegpu_edge::{ApiError, SessionCaller};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AccountResponse, RoleWord, UserResponse};
use crate::{Api, openapi::words::open};

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
}

/// A machine that manages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallingServiceUserResponse {
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
}

impl CallerResponse {
    fn new(api: &Api, caller: &Caller<Anyone>) -> Self {
        let account = AccountResponse::new(caller.account());
        match caller.asking() {
            Asking::Person(context) => Self {
                user: Some(UserResponse::new(context.user.id, &context.user.email)),
                service_user: None,
                account,
                role: context.role.as_str().to_owned(),
                expires_at: context.session.expires_at(api.edge.session_policy()),
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
            },
        }
    }
}

/// Who is calling
///
/// And for which account: a person with a session, or a service user with its token.
#[utoipa::path(
    tag = "auth",
    responses((status = 200, description = "Who it is.", body = CallerResponse)),
)]
#[get("/v1/auth/session")]
pub(crate) async fn get_session(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Anyone>,
) -> Result<web::Json<CallerResponse>, ApiError> {
    Ok(web::Json(CallerResponse::new(&api, &caller)))
}
