use actix_web::{HttpResponse, post, web};
use remotegpu_accounts::{Email, Role};
use remotegpu_control_plane::{Admin, CreateInvitation, Person, create_invitation};
use remotegpu_edge::{ApiError, SessionCaller};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::InvitationResponse;
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    openapi::texts,
    v1::{auth::RoleWord, fields::Fields},
};

/// Whom to invite.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvitationRequest {
    #[schema(schema_with = texts::email)]
    email: String,
    #[schema(value_type = RoleWord)]
    role: String,
}

/// An invitation with its link, which is told in this answer and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedInvitationResponse {
    #[serde(flatten)]
    item: InvitationResponse,
    /// Where whom it is for accepts it.
    #[schema(example = "https://api.example.org/invitations/rgin_...")]
    link: String,
}

impl CreateInvitationRequest {
    fn judge(&self, mut fields: Fields, limit: u32) -> Result<CreateInvitation, ApiError> {
        let email = fields.judge("email", Email::parse(&self.email));
        let role = fields.judge("role", self.role.parse::<Role>());
        match (email, role) {
            (Some(email), Some(role)) if fields.is_empty() => {
                Ok(CreateInvitation { email, role, limit })
            }
            _ => Err(fields.into()),
        }
    }
}

/// Invite somebody
///
/// The answer holds the link, once. Nothing is sent: hand it over yourself. It lives for
/// seven days, for this address alone.
#[utoipa::path(
    tag = "members",
    request_body = CreateInvitationRequest,
    responses(
        (status = 201, description = "The invitation and its link.", body = CreatedInvitationResponse),
        (status = 409, description = "`already_invited`, `limit_reached`"),
    ),
)]
#[post("/v1/account/invitations")]
pub(crate) async fn invite(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (request, fields) = body.read_to_judge::<CreateInvitationRequest>().await?;
    let wanted = request.judge(fields, api.config.invitation_limit)?;
    let (invitations, rng, now) = (&*api.ports.invitations, &mut rng(), api.now());
    let created = create_invitation(invitations, &caller, wanted, rng, now).await?;
    let (url, secret) = (api.edge.public_url().as_str(), created.secret.reveal());
    Ok(HttpResponse::Created().json(CreatedInvitationResponse {
        item: InvitationResponse::new(&created.invitation),
        link: format!("{url}/invitations/{secret}"),
    }))
}
