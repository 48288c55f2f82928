//! Machines that manage, and their tokens (contract T8).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod tokens;
pub(crate) mod update;

use remotegpu_accounts::ServiceUser;
use remotegpu_control_plane::{Admin, Caller, Person, find_service_user};
use remotegpu_edge::{ApiError, ErrorCode, PathId, ServiceUserId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Api, openapi::words::open, v1::auth::RoleWord};

/// A machine that manages: it has a role in the account and no password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceUserResponse {
    /// What it makes bears this as `created_by`.
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
    #[schema(schema_with = open::<RoleWord>)]
    role: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The user who made it; it outlives them here.
    created_by: Uuid,
}

impl ServiceUserResponse {
    fn new(service_user: &ServiceUser) -> Self {
        Self {
            id: service_user.id.as_uuid(),
            name: service_user.name.as_str().to_owned(),
            role: service_user.role.as_str().to_owned(),
            created_at: service_user.created_at,
            created_by: service_user.created_by.as_uuid(),
        }
    }
}

/// The service user of the caller's account that a path names; it is asked for before the
/// body is read (contract C5).
async fn existing(
    api: &Api,
    caller: &Caller<Person<Admin>>,
    id: PathId<ServiceUserId>,
) -> Result<ServiceUser, ApiError> {
    let ServiceUserId(id) = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_service_user(&*api.ports.service_users, caller, id).await?;
    found.ok_or_else(|| ErrorCode::NotFound.into())
}
