use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::{Caller, IssueApiKey, IssueApiKeyError, Write, issue_api_key};
use remotegpu_edge::{ApiError, ErrorCode, SessionCaller};
use remotegpu_keys::KeyName;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use validator::Validate;

use super::{IssuedApiKeyResponse, judge_scopes, scopes_request::ScopesRequest};
use crate::{
    Api,
    api::rng,
    error::foreign_namespaces,
    json_body::JsonBody,
    openapi::texts,
    v1::{expiry::judge_expiry, fields::Fields},
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
    async fn judge(
        &self,
        mut fields: Fields,
        api: &Api,
        caller: &Caller<Write>,
        now: OffsetDateTime,
    ) -> Result<IssueApiKey, ApiError> {
        let name = fields.judge("name", KeyName::parse(&self.name));
        let expires_at = judge_expiry(&mut fields, self.expires_at.as_deref(), now);
        let scopes = judge_scopes(&mut fields, &self.scopes, api, caller).await?;
        match (name, scopes, expires_at) {
            (Some(name), Some(scopes), Some(expires_at)) if fields.is_empty() => Ok(IssueApiKey {
                name,
                scopes,
                expires_at,
                default_limit: api.config.key_limit,
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
            IssueApiKeyError::NotAllowed(error) => error.into(),
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
    let (request, fields) = body.read_to_judge::<CreateApiKeyRequest>().await?;
    let now = api.now();
    let wanted = request.judge(fields, &api, &caller, now).await?;
    let (keys, limits) = (&*api.ports.keys, &api.ports.key_changes);
    let issued = issue_api_key(keys, limits, &caller, wanted, &mut rng(), now)
        .await
        .map_err(|error| request.refusal(error))?;
    Ok(HttpResponse::Created().json(IssuedApiKeyResponse::new(&issued, now)))
}
