use actix_web::{patch, web};
use remotegpu_accounts::{Role, ServiceUserChange};
use remotegpu_control_plane::{Admin, Person, UpdateServiceUser};
use remotegpu_edge::{ApiError, PathId, ServiceUserId, SessionCaller};
use remotegpu_keys::KeyName;
use remotegpu_primitives::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{ServiceUserResponse, existing};
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    openapi::texts,
    v1::{account::members::MadeBeforeResponse, auth::RoleWord, fields::Fields},
    wire,
};

/// What to change; what is absent stays.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "not_empty"))]
#[schema(min_properties = 1)]
pub(crate) struct UpdateServiceUserRequest {
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(schema_with = texts::key_name)]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<RoleWord>, nullable = false)]
    role: Option<String>,
    /// Whether the caller takes over the API keys that would end by it.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(nullable = false, default = false)]
    take_over_keys: Option<bool>,
}

fn not_empty(request: &UpdateServiceUserRequest) -> Result<(), ValidationError> {
    let nothing = request.name.is_none() && request.role.is_none();
    if nothing && request.take_over_keys.is_none() {
        let error = ValidationError::new("empty");
        return Err(error.with_message("Nothing to change: name or role".into()));
    }
    Ok(())
}

impl UpdateServiceUserRequest {
    fn judge(
        &self,
        mut fields: Fields,
        service_user_id: UserId,
    ) -> Result<UpdateServiceUser, ApiError> {
        let name = self.name.as_deref().map(KeyName::parse).transpose();
        let name = fields.judge("name", name);
        let role = self.role.as_deref().map(str::parse::<Role>).transpose();
        let role = fields.judge("role", role);
        match (name, role) {
            (Some(name), Some(role)) if fields.is_empty() => Ok(UpdateServiceUser {
                service_user_id,
                change: ServiceUserChange { name, role },
                take_over_keys: self.take_over_keys == Some(true),
            }),
            _ => Err(fields.into()),
        }
    }
}

/// A service user as it is now, and what the change has done beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedServiceUserResponse {
    #[serde(flatten)]
    item: ServiceUserResponse,
    #[serde(flatten)]
    before: MadeBeforeResponse,
}

/// Rename a service user, or give it another role
///
/// With the role `read` ends what it made that opens the account, unless the caller takes
/// its API keys over. The answer names what has ended.
#[utoipa::path(
    tag = "service-users",
    params(("service_user_id" = uuid::Uuid, Path, description = "The service user.")),
    request_body = UpdateServiceUserRequest,
    responses(
        (status = 200, description = "The service user as it is now.", body = ChangedServiceUserResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[patch("/v1/account/service-users/{service_user_id}")]
pub(crate) async fn update_service_user(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    body: JsonBody,
) -> Result<web::Json<ChangedServiceUserResponse>, ApiError> {
    let id = existing(&api, &caller, id).await?.id;
    let (request, fields) = body.read_to_judge::<UpdateServiceUserRequest>().await?;
    let wanted = request.judge(fields, id)?;
    let (service_users, signals) = (&*api.ports.service_users, &api.ports.signals);
    let (caller, rng, now) = (&caller, &mut rng(), api.now());
    let updated = remotegpu_control_plane::update_service_user(
        service_users,
        signals,
        caller,
        wanted,
        rng,
        now,
    );
    let (updated, before) = updated.await?;
    Ok(web::Json(ChangedServiceUserResponse {
        item: ServiceUserResponse::new(&updated),
        before: MadeBeforeResponse::new(&before),
    }))
}
