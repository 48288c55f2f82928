use actix_web::{patch, web};
use remotegpu_control_plane::{UpdateApiKeyError, Write};
use remotegpu_keys::{ApiKeyChange, KeyName};
use remotegpu_primitives::ApiKeyId;
use remotegpu_scopes::Scopes;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{ApiKeyResponse, existing, scopes_request::ScopesRequest};
use crate::{
    Api,
    api::rng,
    error::{ApiError, ErrorCode, foreign_namespaces, scopes_error},
    extract::{JsonBody, PathId, SessionCaller},
    openapi::texts,
    v1::{fields::Fields, time_of_day::parse_time},
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
    fn judge(&self) -> Result<ApiKeyChange, ApiError> {
        let mut fields = Fields::default();
        let name = self.name.as_deref().map(KeyName::parse).transpose();
        let name = fields.judge("name", name);
        let expires_at = match &self.expires_at {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(text)) => parse_time(text).map(|time| Some(Some(time))),
        };
        let expires_at = fields.judge("expires_at", expires_at);
        let scopes = self.scopes.as_ref().map(|raw| Scopes::parse(raw.get()));
        let scopes = scopes.transpose().map_err(|error| scopes_error(&error))?;
        match (name, expires_at) {
            (Some(name), Some(expires_at)) => Ok(ApiKeyChange {
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
    let request: UpdateApiKeyRequest = body.read().await?;
    let change = request.judge()?;
    let (keys, signals) = (&*api.ports.keys, &api.ports.signals);
    let (change, rng, now) = (&change, &mut rng(), api.now());
    let updated =
        remotegpu_control_plane::update_api_key(keys, signals, &caller, id, change, rng, now)
            .await
            .map_err(|error| request.refusal(error))?;
    Ok(web::Json(ApiKeyResponse::new(&updated, now)))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn change(json: &str) -> Result<ApiKeyChange, ApiError> {
        wire::read_object::<UpdateApiKeyRequest>(json)?.judge()
    }

    #[test]
    fn an_expiry_is_absent_never_or_a_time() {
        // Section 3
        let expiry = |json| change(json).unwrap().expires_at;
        assert_eq!(expiry(r#"{"name":"a"}"#), None);
        assert_eq!(expiry(r#"{"expires_at":null}"#), Some(None));
        let noon = datetime!(2026-01-01 12:00 UTC);
        assert_eq!(
            expiry(r#"{"expires_at":"2026-01-01T12:00:00Z"}"#),
            Some(Some(noon))
        );
    }

    #[test]
    fn name_and_scopes_may_be_absent_but_not_null() {
        // K4, K11
        for (json, detail) in [
            (r#"{"name":null}"#, "name must be a string"),
            (r#"{"scopes":null}"#, "scopes must be an object"),
            (r#"{"name":" "}"#, "name must have 1 to 64 characters"),
            (
                r#"{"scopes":{}}"#,
                "At least one explicit scope is required",
            ),
        ] {
            assert_eq!(change(json).unwrap_err().detail(), detail, "{json}");
        }
        let empty = wire::read_object::<UpdateApiKeyRequest>("{}").unwrap();
        assert!(empty.validate().is_err());
    }
}
