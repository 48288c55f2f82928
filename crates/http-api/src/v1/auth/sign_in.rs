use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::SignInPorts;
use remotegpu_edge::{ApiError, Client};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::{SessionResponse, session_cookie};
use crate::{Api, api::rng, json_body::JsonBody, wire};

/// Who signs in.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInRequest {
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(format = Password)]
    password: String,
    /// `false` for clients that are no browser: no cookie is set, and the answer
    /// has an `access_token` for `Authorization: Bearer`.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(nullable = false, default = true)]
    cookie: Option<bool>,
}

/// Sign in
///
/// Always makes a new session. An unknown e-mail and a wrong password answer
/// the same.
#[utoipa::path(
    tag = "auth",
    request_body = SignInRequest,
    responses(
        (status = 200, description = "Signed in; the cookie is set unless `cookie` is `false`.", body = SessionResponse),
        (status = 401, description = "`wrong_credentials`"),
        (status = 403, description = "`csrf`, `account_suspended`"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`database_unavailable`, or `overloaded`: too many passwords are being checked already"),
    ),
)]
#[post("/v1/auth/sign-in")]
pub(crate) async fn sign_in(
    api: web::Data<Api>,
    client: Client,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: SignInRequest = body.read().await?;
    let ports = SignInPorts {
        users: &*api.ports.users,
        sessions: &*api.ports.sessions,
        attempts: &*api.ports.attempts,
        passwords: &api.ports.passwords,
        audit: &api.ports.audit,
    };
    let (email, password) = (&wanted.email, &wanted.password);
    let (from, now) = (client.origin(), api.now());
    let signed_in =
        remotegpu_control_plane::sign_in(ports, email, password, from, &mut rng(), now).await?;
    let secret = signed_in.secret.reveal();
    let mut session = SessionResponse::new(&signed_in.context, api.edge.session_policy());
    let mut answer = HttpResponse::Ok();
    if wanted.cookie == Some(false) {
        session.access_token = Some(secret.to_owned());
    } else {
        answer.cookie(session_cookie(&api, secret));
    }
    Ok(answer.json(session))
}
