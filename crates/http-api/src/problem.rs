//! Errors as documents (RFC 9457, contract C2).

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use remotegpu_edge::{ApiError, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::words::{open, words};

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// The same on every 401, whatever is missing (contract A4, C6).
pub(crate) const CHALLENGE: &str = "Bearer realm=\"remotegpu\"";

/// What every error answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:remotegpu:error:` and the code.
    #[schema(example = "urn:remotegpu:error:api_key_not_found")]
    r#type: String,
    /// The reason of the HTTP status.
    #[schema(example = "Not Found")]
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// A sentence for a person.
    #[schema(example = "API key not found")]
    detail: &'a str,
    /// A word for a program.
    #[schema(schema_with = open::<ErrorCodeWord>)]
    code: &'static str,
    /// The `x-request-id` of the answer, which the server's log has too.
    #[schema(example = "0198c0de-0000-7000-8000-000000000000")]
    request_id: &'a str,
    /// The fields that are wrong, where single ones are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ProblemField<'a>>,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemField<'a> {
    /// Where, as a path.
    #[schema(example = "scopes.kubernetes_exec.namespace_ids[3]")]
    field: &'a str,
    /// What, as the end of a sentence that begins with the field.
    #[schema(example = "is not a namespace of this account")]
    message: &'a str,
}

words! {
    /// What went wrong, as a word for a program.
    ErrorCodeWord = ErrorCode::ALL.iter().map(|code| code.as_str())
}

impl<'a> Problem<'a> {
    pub(crate) fn new(error: &'a ApiError, request_id: &'a str) -> Self {
        let code = error.code();
        Self {
            r#type: format!("urn:remotegpu:error:{}", code.as_str()),
            title: code.status().canonical_reason().unwrap_or("Error"),
            status: code.status().as_u16(),
            detail: error.detail(),
            code: code.as_str(),
            request_id,
            errors: error
                .errors()
                .iter()
                .map(|error| ProblemField {
                    field: &error.field,
                    message: &error.message,
                })
                .collect(),
        }
    }
}

/// The shape of this front's errors.
pub(crate) fn answer(error: &ApiError, request_id: &str, _: &HttpRequest) -> HttpResponse {
    let status = error.code().status();
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((header::WWW_AUTHENTICATE, CHALLENGE));
    }
    if let Some(seconds) = error.retry_after() {
        answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if let Some(allow) = error.allow() {
        answer.insert_header((header::ALLOW, allow));
    }
    if error.code() == ErrorCode::BodyTooLarge {
        // Most of the body is still to come, and nobody will read it.
        answer.force_close();
    }
    answer
        .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
        .json(Problem::new(error, request_id))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use remotegpu_edge::FieldError;

    fn rendered(error: &ApiError) -> serde_json::Value {
        serde_json::to_value(Problem::new(error, "r-1")).unwrap()
    }

    #[test]
    fn an_error_is_an_rfc_9457_document() {
        // C2
        assert_eq!(
            rendered(&ErrorCode::ApiKeyNotFound.into()),
            serde_json::json!({
                "type": "urn:remotegpu:error:api_key_not_found",
                "title": "Not Found",
                "status": 404,
                "detail": "API key not found",
                "code": "api_key_not_found",
                "request_id": "r-1",
            })
        );
    }

    #[test]
    fn fields_at_fault_are_named_one_by_one() {
        // C2
        let name = ApiError::field(FieldError::new("name", "is required"));
        let error = name.and(&ApiError::field(FieldError::new("x", "is not known")));
        let document = rendered(&error);
        assert_eq!(document["detail"], "name is required");
        assert_eq!(document["errors"][1]["field"], "x");
    }

    #[test]
    fn a_401_challenges_and_a_405_says_what_is_allowed() {
        // A4, C5
        let answered = |error: ApiError, name| {
            let response = answer(&error, "r", &TestRequest::get().to_http_request());
            assert_eq!(
                response.headers().get(header::CONTENT_TYPE).unwrap(),
                MEDIA_TYPE
            );
            response.headers().get(name).cloned()
        };
        for code in [
            ErrorCode::MissingApiKey,
            ErrorCode::InvalidApiKey,
            ErrorCode::WrongCredentials,
        ] {
            let challenge = answered(code.into(), header::WWW_AUTHENTICATE);
            assert_eq!(challenge.unwrap(), CHALLENGE);
        }
        let allow = answered(ApiError::method_not_allowed("GET, HEAD"), header::ALLOW);
        assert_eq!(allow.unwrap(), "GET, HEAD");
    }
}
