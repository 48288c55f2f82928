use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::{Admin, IssueServiceUserToken, Person, issue_service_user_token};
use remotegpu_edge::{ApiError, FieldError, PathId, ServiceUserId, SessionCaller};
use remotegpu_keys::KeyName;
use remotegpu_primitives::UserId;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use validator::Validate;

use super::{super::existing, IssuedServiceUserTokenResponse};
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    openapi::texts,
    v1::{
        expiry::{Expiry, IN_SECONDS},
        fields::Fields,
    },
    wire,
};

/// What a token shall be: it ends by itself, which is said in one of the two ways.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 2, max_properties = 2)]
pub(crate) struct CreateServiceUserTokenRequest {
    #[schema(schema_with = texts::key_name)]
    name: String,
    /// How long it is valid.
    #[serde(default, deserialize_with = "wire::present_whole")]
    #[schema(nullable = false, minimum = 1, example = 7_776_000)]
    expires_in_seconds: Option<i64>,
    /// When it ends, in the future.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(nullable = false, format = DateTime)]
    expires_at: Option<String>,
}

impl CreateServiceUserTokenRequest {
    fn judge(
        &self,
        mut fields: Fields,
        service_user_id: UserId,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<IssueServiceUserToken, ApiError> {
        let name = fields.judge("name", KeyName::parse(&self.name));
        let expiry = Expiry {
            in_seconds: self.expires_in_seconds,
            at: self.expires_at.as_deref(),
        };
        let end = expiry.judge(&mut fields, now);
        if end == Some(None) {
            let error = FieldError::new(IN_SECONDS, "is required, or expires_at");
            fields.refuse(error);
        }
        match (name, end.flatten()) {
            (Some(name), Some(expires_at)) if fields.is_empty() => Ok(IssueServiceUserToken {
                service_user_id,
                name,
                expires_at,
                limit,
            }),
            _ => Err(fields.into()),
        }
    }
}

/// Give a service user a token
///
/// The answer holds the secret, once. Where the service user has as many tokens as it may
/// have, those that expired first make room.
#[utoipa::path(
    tag = "service-users",
    params(("service_user_id" = uuid::Uuid, Path, description = "The service user.")),
    request_body = CreateServiceUserTokenRequest,
    responses(
        (status = 201, description = "The token and its secret.", body = IssuedServiceUserTokenResponse),
        (status = 400, description = "`invalid_body`, `invalid_field`, `expiry_not_in_future`"),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`limit_reached`"),
    ),
)]
#[post("/v1/account/service-users/{service_user_id}/tokens")]
pub(crate) async fn create_service_user_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let id = existing(&api, &caller, id).await?.id;
    let (request, fields) = body
        .read_to_judge::<CreateServiceUserTokenRequest>()
        .await?;
    let (limit, now) = (api.config.service_user_token_limit, api.now());
    let wanted = request.judge(fields, id, limit, now)?;
    let (service_users, rng) = (&*api.ports.service_users, &mut rng());
    let issued = issue_service_user_token(service_users, &caller, wanted, rng, now);
    let issued = issued.await?;
    Ok(HttpResponse::Created().json(IssuedServiceUserTokenResponse::new(&issued)))
}
