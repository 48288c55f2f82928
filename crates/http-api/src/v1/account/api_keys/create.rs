use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::{IssueApiKey, IssueApiKeyError, Write, issue_api_key};
use remotegpu_keys::KeyName;
use remotegpu_scopes::Scopes;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use validator::Validate;

use super::{IssuedApiKeyResponse, scopes_request::ScopesRequest};
use crate::{
    Api,
    api::rng,
    error::{ApiError, ErrorCode, foreign_namespaces, scopes_error},
    extract::{JsonBody, SessionCaller},
    openapi::texts,
    v1::{fields::Fields, time_of_day::parse_time},
};

/// What a key shall be.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKeyRequest {
    #[schema(schema_with = texts::key_name)]
    name: String,
    #[schema(value_type = ScopesRequest)]
    scopes: Box<RawValue>,
    /// When it ends by itself, in the future; never where absent or `null`.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl CreateApiKeyRequest {
    fn judge(&self, default_limit: u32) -> Result<IssueApiKey, ApiError> {
        let mut fields = Fields::default();
        let name = fields.judge("name", KeyName::parse(&self.name));
        let expires_at = self.expires_at.as_deref().map(parse_time).transpose();
        let expires_at = fields.judge("expires_at", expires_at);
        // Their sentences are exact: nothing else may take their place.
        let scopes = Scopes::parse(self.scopes.get()).map_err(|error| scopes_error(&error))?;
        match (name, expires_at) {
            (Some(name), Some(expires_at)) => Ok(IssueApiKey {
                name,
                scopes,
                expires_at,
                default_limit,
            }),
            _ => Err(fields.into()),
        }
    }

    fn refusal(&self, error: IssueApiKeyError) -> ApiError {
        match error {
            IssueApiKeyError::ExpiryNotInFuture => ErrorCode::ExpiryNotInFuture.into(),
            IssueApiKeyError::LimitReached => ErrorCode::KeyLimit.into(),
            IssueApiKeyError::ForeignNamespaces(ids) => foreign_namespaces(self.scopes.get(), &ids),
            IssueApiKeyError::TooOften(error) => error.into(),
            IssueApiKeyError::Store(error) => error.into(),
        }
    }
}

/// Create an API key
///
/// The answer holds the secret, once.
#[utoipa::path(
    tag = "api-keys",
    request_body = CreateApiKeyRequest,
    responses(
        (status = 201, description = "The key and its secret.", body = IssuedApiKeyResponse),
        (status = 400, description = "`invalid_body`, `invalid_field`, `invalid_scopes`, `foreign_namespace`, `expiry_not_in_future`"),
        (status = 409, description = "`key_limit`"),
        (status = 429, description = "`rate_limited`: the account creates and rotates keys too often"),
    ),
)]
#[post("/v1/account/api-keys")]
pub(crate) async fn create_api_key(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Write>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let request: CreateApiKeyRequest = body.read().await?;
    let wanted = request.judge(api.config.key_limit)?;
    let (keys, limits, now) = (&*api.ports.keys, &api.ports.key_changes, api.now());
    let issued = issue_api_key(keys, limits, &caller, wanted, &mut rng(), now)
        .await
        .map_err(|error| request.refusal(error))?;
    Ok(HttpResponse::Created().json(IssuedApiKeyResponse::new(&issued, now)))
}
