//! Who is calling.

pub(crate) mod accept_invitation;
pub(crate) mod key;
pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod sign_up;
pub(crate) mod switch_account;

use actix_web::cookie::{Cookie, SameSite};
use remotegpu_accounts::{Account, Email, Role, SessionContext, SessionPolicy};
use remotegpu_edge::cookie_name;
use remotegpu_primitives::{UserId, Word};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Api, openapi::words::open};

/// Who is signed in, and what for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionResponse {
    user: UserResponse,
    account: AccountResponse,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
    /// When the session ends if it is not used any more.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// The session's secret, for clients that are no browser: only in the answer
    /// to a sign-in with `"cookie": false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    access_token: Option<String>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserResponse {
    id: Uuid,
    #[schema(example = "ada@example.org")]
    email: String,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountResponse {
    id: Uuid,
    #[schema(example = "Analytical Engines")]
    name: String,
}

/// What a user may do in an account; each role may do what those before it may.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum RoleWord {
    Read,
    Write,
    Admin,
}

impl SessionResponse {
    fn new(context: &SessionContext, policy: SessionPolicy) -> Self {
        Self::for_account(context, &context.account, &context.role, policy)
    }

    fn for_account(
        context: &SessionContext,
        account: &Account,
        role: &Word<Role>,
        policy: SessionPolicy,
    ) -> Self {
        Self {
            user: UserResponse::new(context.user.id, &context.user.email),
            account: AccountResponse::new(account),
            role: role.as_str().to_owned(),
            expires_at: context.session.expires_at(policy),
            access_token: None,
        }
    }
}

impl UserResponse {
    fn new(id: UserId, email: &Email) -> Self {
        Self {
            id: id.as_uuid(),
            email: email.as_str().to_owned(),
        }
    }
}

impl AccountResponse {
    fn new(account: &Account) -> Self {
        Self {
            id: account.id.as_uuid(),
            name: account.name.as_str().to_owned(),
        }
    }
}

/// The session cookie (contract A7). It has no end of its own: the server knows.
fn session_cookie(api: &Api, value: &str) -> Cookie<'static> {
    let https = api.edge.public_url().is_https();
    Cookie::build(cookie_name(https), value.to_owned())
        .path("/")
        .http_only(true)
        .secure(https)
        .same_site(SameSite::Lax)
        .finish()
}
