//! Invitations into the account (contract T7, T10).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;

use remotegpu_accounts::Invitation;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{openapi::words::open, v1::auth::RoleWord};

/// An open invitation, without its link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationResponse {
    id: Uuid,
    /// Whom it is for.
    #[schema(example = "ada@example.org")]
    email: String,
    /// What they will be allowed.
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
    /// The admin who asks.
    created_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl InvitationResponse {
    fn new(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id.as_uuid(),
            email: invitation.email.as_str().to_owned(),
            role: invitation.role.as_str().to_owned(),
            created_by: invitation.created_by.as_uuid(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}
