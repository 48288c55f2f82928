use actix_web::{HttpResponse, post, web};
use remotegpu_accounts::Role;
use remotegpu_control_plane::{Admin, CreateServiceUser, Person};
use remotegpu_edge::{ApiError, SessionCaller};
use remotegpu_keys::KeyName;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::ServiceUserResponse;
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    openapi::texts,
    v1::{auth::RoleWord, fields::Fields},
};

/// What a service user shall be.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateServiceUserRequest {
    #[schema(schema_with = texts::key_name)]
    name: String,
    #[schema(value_type = RoleWord)]
    role: String,
}

impl CreateServiceUserRequest {
    fn judge(&self, mut fields: Fields, limit: u32) -> Result<CreateServiceUser, ApiError> {
        let name = fields.judge("name", KeyName::parse(&self.name));
        let role = fields.judge("role", self.role.parse::<Role>());
        match (name, role) {
            (Some(name), Some(role)) if fields.is_empty() => {
                Ok(CreateServiceUser { name, role, limit })
            }
            _ => Err(fields.into()),
        }
    }
}

/// Create a service user
///
/// It manages what the account has, as its role says; it comes with tokens.
#[utoipa::path(
    tag = "service-users",
    request_body = CreateServiceUserRequest,
    responses(
        (status = 201, description = "The service user.", body = ServiceUserResponse),
        (status = 409, description = "`limit_reached`"),
    ),
)]
#[post("/v1/account/service-users")]
pub(crate) async fn create_service_user(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (request, fields) = body.read_to_judge::<CreateServiceUserRequest>().await?;
    let wanted = request.judge(fields, api.config.service_user_limit)?;
    let service_users = &*api.ports.service_users;
    let (caller, rng, now) = (&caller, &mut rng(), api.now());
    let made =
        remotegpu_control_plane::create_service_user(service_users, caller, wanted, rng, now);
    let made = made.await?;
    Ok(HttpResponse::Created().json(ServiceUserResponse::new(&made)))
}
