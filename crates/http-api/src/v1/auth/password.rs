use actix_web::{HttpResponse, put, web};
use remotegpu_accounts::PlainPassword;
use remotegpu_control_plane::{ChangePasswordPorts, OneTimePassword};
use remotegpu_edge::{ApiError, SessionCaller};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use crate::{Api, api::rng, json_body::JsonBody};

/// The password of today, and that of tomorrow.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordRequest {
    #[schema(format = Password)]
    current: String,
    #[schema(format = Password, min_length = 12, max_length = 128)]
    new: String,
}

/// Change one's own password
///
/// Ends the user's other sessions. The one route that a one-time password opens.
#[utoipa::path(
    tag = "auth",
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "Changed."),
        (status = 401, description = "`missing_access_token`, `invalid_access_token`, or `wrong_credentials`: `current` is another"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`database_unavailable`, or `overloaded`: too many passwords are being checked already"),
    ),
)]
#[put("/v1/auth/password")]
pub(crate) async fn change_password(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<OneTimePassword>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (wanted, mut fields) = body.read_to_judge::<ChangePasswordRequest>().await?;
    let new = fields.judge("new", PlainPassword::parse(&wanted.new));
    let Some(new) = new.filter(|_| fields.is_empty()) else {
        return Err(fields.into());
    };
    let ports = ChangePasswordPorts {
        users: &*api.ports.users,
        attempts: &*api.ports.attempts,
        passwords: &api.ports.passwords,
        audit: &api.ports.audit,
    };
    let (current, rng, now) = (&wanted.current, &mut rng(), api.now());
    remotegpu_control_plane::change_password(ports, &caller, current, new, rng, now).await?;
    Ok(HttpResponse::NoContent().finish())
}
