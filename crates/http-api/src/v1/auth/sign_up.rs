use actix_web::{HttpResponse, post, web};
use remotegpu_accounts::{AccountName, Email, PlainPassword};
use remotegpu_control_plane::{SignUp, SignUpPorts};
use remotegpu_edge::{ApiError, Client};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{AccountResponse, UserResponse};
use crate::{Api, api::rng, json_body::JsonBody, openapi::texts, v1::fields::Fields};

/// Who signs up.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUpRequest {
    #[schema(schema_with = texts::email)]
    email: String,
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
    #[schema(schema_with = texts::account_name)]
    account_name: String,
}

/// A new user, and the account they administrate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignUpResponse {
    user: UserResponse,
    account: AccountResponse,
}

impl SignUpRequest {
    fn judge(&self, mut fields: Fields) -> Result<SignUp, ApiError> {
        let email = fields.judge("email", Email::parse(&self.email));
        let password = fields.judge("password", PlainPassword::parse(&self.password));
        let account_name = fields.judge("account_name", AccountName::parse(&self.account_name));
        match (email, password, account_name) {
            (Some(email), Some(password), Some(account_name)) if fields.is_empty() => Ok(SignUp {
                email,
                password,
                account_name,
            }),
            _ => Err(fields.into()),
        }
    }
}

/// Make a user and an account
///
/// Only where the installation is open to everybody; elsewhere there is nothing
/// here. Nobody is signed in by it.
#[utoipa::path(
    tag = "auth",
    request_body = SignUpRequest,
    responses(
        (status = 201, description = "The user is the account's admin.", body = SignUpResponse),
        (status = 403, description = "`csrf`"),
        (status = 404, description = "`not_found`: signing up is closed"),
        (status = 409, description = "`email_taken`"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`database_unavailable`, or `overloaded`: too many passwords are being checked already"),
    ),
)]
#[post("/v1/auth/sign-up")]
pub(crate) async fn sign_up(
    api: web::Data<Api>,
    client: Client,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (request, fields) = body.read_to_judge::<SignUpRequest>().await?;
    let wanted = request.judge(fields)?;
    let ports = SignUpPorts {
        users: &*api.ports.users,
        attempts: &*api.ports.attempts,
        passwords: &api.ports.passwords,
    };
    let (from, now) = (client.origin(), api.now());
    let (user, account) =
        remotegpu_control_plane::sign_up(ports, wanted, from, &mut rng(), now).await?;
    Ok(HttpResponse::Created().json(SignUpResponse {
        user: UserResponse::new(user.id, &user.email),
        account: AccountResponse::new(&account),
    }))
}
