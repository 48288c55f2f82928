//! Errors as Kubernetes writes them: a `Status`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use remotegpu_edge::ApiError;
use serde_json::json;

/// The shape of this front's errors.
pub(crate) fn answer(error: &ApiError, _: &str, _: &HttpRequest) -> HttpResponse {
    let status = error.code().status();
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"remotegpu\""));
    }
    if let Some(allow) = error.allow() {
        answer.insert_header((header::ALLOW, allow));
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // Most of the body is still to come, and nobody will read it.
        answer.force_close();
    }
    let mut document = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.detail(),
        "reason": reason(status),
        "code": status.as_u16(),
    });
    if let Some(seconds) = error.retry_after() {
        // By which an API server tries again by itself.
        answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        document["details"] = json!({"retryAfterSeconds": seconds});
    }
    answer.json(document)
}

/// The word that Kubernetes has for it.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    }
}
