use actix_web::{post, web};
use remotegpu_control_plane::{AcceptInvitationPorts, Acceptance, Anyone, Person};
use remotegpu_edge::{ApiError, Client, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{AccountResponse, RoleWord};
use crate::{Api, api::rng, json_body::JsonBody, openapi::words::open, wire};

/// Which invitation is accepted.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptInvitationRequest {
    /// The last part of the invitation's link.
    #[schema(format = Password)]
    token: String,
    /// For who is not signed in: the password of the user that is made; 12 to 128 characters.
    /// One that is there stays as it is.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(format = Password, nullable = false)]
    password: Option<String>,
}

/// Where one is a member now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedInvitationResponse {
    account: AccountResponse,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
}

/// Accept an invitation
///
/// Signed in as the address that it is for; or without a session, where the address has no
/// user: then `password` makes one. Nobody is signed in by it. (Who has a user and no account
/// to sign in for gives the password that they have.)
#[utoipa::path(
    tag = "auth",
    request_body = AcceptInvitationRequest,
    responses(
        (status = 200, description = "They are a member.", body = AcceptedInvitationResponse),
        (status = 401, description = "`missing_access_token`: the address has a user, who signs in first; `wrong_credentials`"),
        (status = 403, description = "`wrong_person`, `csrf`, `password_change_required`, `not_for_service_users`"),
        (status = 404, description = "`not_found`: unknown, accepted, deleted or expired"),
        (status = 429, description = "`too_many_attempts`"),
        (status = 503, description = "`database_unavailable`, or `overloaded`: too many passwords are being checked already"),
    ),
)]
#[post("/v1/auth/invitations/accept")]
pub(crate) async fn accept_invitation(
    api: web::Data<Api>,
    Visitor(visitor): Visitor,
    client: Client,
    body: JsonBody,
) -> Result<web::Json<AcceptedInvitationResponse>, ApiError> {
    let visitor = visitor.map(|caller| caller.may::<Person<Anyone>>());
    let visitor = visitor.transpose()?;
    let request: AcceptInvitationRequest = body.read().await?;
    let given = Acceptance {
        secret: &request.token,
        password: request.password.as_deref(),
    };
    let ports = AcceptInvitationPorts {
        invitations: &*api.ports.invitations,
        users: &*api.ports.users,
        attempts: &*api.ports.attempts,
        passwords: &api.ports.passwords,
    };
    let (visitor, from, rng) = (visitor.as_ref(), client.origin(), &mut rng());
    let now = api.now();
    let accepted =
        remotegpu_control_plane::accept_invitation(ports, visitor, given, from, rng, now);
    let (account, role) = accepted.await?;
    Ok(web::Json(AcceptedInvitationResponse {
        account: AccountResponse::new(&account),
        role: role.as_str().to_owned(),
    }))
}
