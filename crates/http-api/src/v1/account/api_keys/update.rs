use actix_web::{patch, web};
use remotegpu_control_plane::{Caller, UpdateApiKeyError, Write};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_keys::{ApiKeyChange, KeyName};
use remotegpu_primitives::ApiKeyId;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{ApiKeyResponse, existing, judge_scopes, scopes_request::ScopesRequest};
use crate::{
    Api,
    api::rng,
    error::foreign_namespaces,
    json_body::JsonBody,
    openapi::texts,
    v1::{expiry::judge_expiry, fields::Fields},
    wire,
};

/// What to change; what is absent stays.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "not_empty"))]
#[schema(min_properties = 1)]
pub(crate) struct UpdateApiKeyRequest {
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(schema_with = texts::key_name)]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<ScopesRequest>, nullable = false)]
    scopes: Option<Box<RawValue>>,
    /// When it ends by itself, in the future; `null` means never.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    #[expect(
        clippy::option_option,
        reason = "absent, `null` and a time are three things"
    )]
    expires_at: Option<Option<String>>,
}

fn not_empty(request: &UpdateApiKeyRequest) -> Result<(), ValidationError> {
    if request.name.is_none() && request.scopes.is_none() && request.expires_at.is_none() {
        let error = ValidationError::new("empty");
        return Err(error.with_message("Nothing to change: name, scopes or expires_at".into()));
    }
    Ok(())
}

impl UpdateApiKeyRequest {
    async fn judge(
        &self,
        mut fields: Fields,
        api: &Api,
        caller: &Caller<Write>,
        now: OffsetDateTime,
    ) -> Result<ApiKeyChange, ApiError> {
        let name = self.name.as_deref().map(KeyName::parse).transpose();
        let name = fields.judge("name", name);
        let expires_at = match &self.expires_at {
            None => Some(None),
            Some(text) => judge_expiry(&mut fields, text.as_deref(), now).map(Some),
        };
        let scopes = match &self.scopes {
            None => Some(None),
            Some(raw) => judge_scopes(&mut fields, raw, api, caller).await?.map(Some),
        };
        match (name, scopes, expires_at) {
            (Some(name), Some(scopes), Some(expires_at)) if fields.is_empty() => Ok(ApiKeyChange {
                name,
                scopes,
                expires_at,
            }),
            _ => Err(fields.into()),
        }
    }

    fn refusal(&self, error: UpdateApiKeyError) -> ApiError {
        match error {
            UpdateApiKeyError::NotFound => ErrorCode::ApiKeyNotFound.into(),
            UpdateApiKeyError::NotActive => ErrorCode::KeyNotActive.into(),
            UpdateApiKeyError::ExpiryNotInFuture => ErrorCode::ExpiryNotInFuture.into(),
            UpdateApiKeyError::ForeignNamespaces(ids) => {
                let scopes = self.scopes.as_ref().map_or("", |raw| raw.get());
                foreign_namespaces(scopes, &ids)
            }
            UpdateApiKeyError::Store(error) => error.into(),
        }
    }
}

/// Rename an API key, or change its scopes or expiry
///
/// What is left out stays as it is. A change takes effect at once, and credentials that
/// lose their reason end with it.
#[utoipa::path(
    tag = "api-keys",
    params(("key_id" = uuid::Uuid, Path, description = "The key.")),
    request_body = UpdateApiKeyRequest,
    responses(
        (status = 200, description = "The key as it is now.", body = ApiKeyResponse),
        (status = 400, description = "`invalid_body`, `invalid_field`, `invalid_scopes`, `foreign_namespace`, `expiry_not_in_future`"),
        (status = 404, description = "`api_key_not_found`"),
        (status = 409, description = "`key_not_active`"),
    ),
)]
#[patch("/v1/account/api-keys/{key_id}")]
pub(crate) async fn update_api_key(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Write>,
    id: PathId<ApiKeyId>,
    body: JsonBody,
) -> Result<web::Json<ApiKeyResponse>, ApiError> {
    let id = existing(&api, &caller, id).await?;
    let (request, fields) = body.read_to_judge::<UpdateApiKeyRequest>().await?;
    let now = api.now();
    let change = request.judge(fields, &api, &caller, now).await?;
    let (keys, signals) = (&*api.ports.keys, &api.ports.signals);
    let (change, rng) = (&change, &mut rng());
    let updated =
        remotegpu_control_plane::update_api_key(keys, signals, &caller, id, change, rng, now)
            .await
            .map_err(|error| request.refusal(error))?;
    Ok(web::Json(ApiKeyResponse::new(&updated, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<UpdateApiKeyRequest, ApiError> {
        let (request, fields) = wire::read_object::<UpdateApiKeyRequest>(json)?;
        fields.done()?;
        Ok(request.unwrap())
    }

    #[test]
    fn an_expiry_is_absent_never_or_a_time() {
        // Section 3
        let expiry = |json| read(json).unwrap().expires_at;
        assert_eq!(expiry(r#"{"name":"a"}"#), None);
        assert_eq!(expiry(r#"{"expires_at":null}"#), Some(None));
        let noon = "2026-01-01T12:00:00Z";
        let json = format!(r#"{{"expires_at":"{noon}"}}"#);
        assert_eq!(expiry(&json), Some(Some(noon.to_owned())));
    }

    #[test]
    fn name_may_be_absent_but_not_null() {
        // K4
        let error = read(r#"{"name":null}"#).err().unwrap();
        assert_eq!(error.detail(), "name must be a string");
        assert!(read("{}").unwrap().validate().is_err());
    }
}
