//! A JSON body, read when the handler asks for it (contract C1, C5).

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, UnreadBody};
use serde::de::DeserializeOwned;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::{v1::fields::Fields, wire};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A body that nobody has read yet.
pub(crate) struct JsonBody {
    unread: UnreadBody,
    encoded: bool,
    is_json: bool,
}

impl FromRequest for JsonBody {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self {
            unread: UnreadBody::of(request, payload),
            encoded: request.headers().contains_key(header::CONTENT_ENCODING),
            is_json: is_json(request.headers()),
        }))
    }
}

impl JsonBody {
    /// Reads a request type whose members nobody judges further.
    pub(crate) async fn read<T: DeserializeOwned + Validate>(self) -> Result<T, ApiError> {
        let (request, fields) = self.read_to_judge().await?;
        fields.done()?;
        Ok(request)
    }

    /// Reads a request type, and what is wrong with it so far: what is judged further goes
    /// to the same `Fields`. An absent or empty body reads as `{}`.
    pub(crate) async fn read_to_judge<T: DeserializeOwned + Validate>(
        self,
    ) -> Result<(T, Fields), ApiError> {
        let bytes = self.unread.read().await?;
        if self.encoded || !(self.is_json || bytes.is_empty()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        read_json(&bytes)
    }
}

fn read_json<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<(T, Fields), ApiError> {
    let invalid = |detail: &'static str| ApiError::new(ErrorCode::InvalidBody, detail);
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(invalid("The body must not begin with a byte order mark"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("The body is not UTF-8"))?;
    let text = if text.is_empty() { "{}" } else { text };
    let (request, mut fields) = wire::read_object::<T>(text)?;
    let Some(request) = request else {
        return Err(fields.into());
    };
    if let Err(errors) = request.validate() {
        refuse(&mut fields, &errors)?;
    }
    Ok((request, fields))
}

/// A constraint on one member is `invalid_field`; one on the whole body, which
/// `validator` keeps under `__all__`, is `invalid_body`, unless a member is wrong.
fn refuse(fields: &mut Fields, errors: &ValidationErrors) -> Result<(), ApiError> {
    for (field, kind) in errors.errors() {
        let ValidationErrorsKind::Field(wrong) = kind else {
            continue;
        };
        for error in wrong {
            let message = error.message.clone().unwrap_or("is wrong".into());
            if field != "__all__" {
                fields.refuse(FieldError::new(field.clone(), message));
            } else if fields.is_empty() {
                return Err(ApiError::new(ErrorCode::InvalidBody, message));
            }
        }
    }
    Ok(())
}

/// Whether the one `content-type` is `application/json`, in UTF-8 if it says
/// anything about that.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            !name.trim().eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use remotegpu_edge::RoutePolicy;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Rotate {
        #[serde(default)]
        #[validate(range(min = 0, max = 9, message = "must be a number from 0 to 9"))]
        grace: i64,
    }

    async fn answered(request: TestRequest) -> Result<i64, (ErrorCode, String)> {
        let (request, mut payload) = request.to_http_parts();
        let body = JsonBody::from_request(&request, &mut payload)
            .await
            .unwrap();
        let read = body.read::<Rotate>().await;
        read.map(|body| body.grace)
            .map_err(|error| (error.code(), error.detail().to_owned()))
    }

    fn post(content_type: &'static str, body: &'static [u8]) -> TestRequest {
        TestRequest::post()
            .insert_header((header::CONTENT_TYPE, content_type))
            .set_payload(body)
    }

    async fn code(request: TestRequest) -> Option<ErrorCode> {
        answered(request).await.err().map(|(code, _)| code)
    }

    #[actix_web::test]
    async fn an_absent_body_reads_as_an_empty_object() {
        // C1
        assert_eq!(answered(TestRequest::post()).await, Ok(0));
        assert_eq!(answered(post("text/plain", b"")).await, Ok(0));
        assert_eq!(
            answered(post("application/json", b"{\"grace\":3}")).await,
            Ok(3)
        );
    }

    #[actix_web::test]
    async fn a_body_needs_json_in_utf_8() {
        // C1, C5
        for good in [
            "application/json",
            "Application/JSON ; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; version=1",
        ] {
            assert_eq!(code(post(good, b"{}")).await, None, "{good}");
        }
        for bad in [
            "text/json",
            "application/merge-patch+json",
            "application/json; charset=latin1",
            "application/json; charset=utf-16",
            "application/json; charset",
            "application/jsonp",
            "*/*",
            "",
        ] {
            assert_eq!(
                code(post(bad, b"{}")).await,
                Some(ErrorCode::UnsupportedMediaType),
                "{bad}"
            );
        }
        let twice = post("application/json", b"{}");
        let twice = twice.append_header((header::CONTENT_TYPE, "application/json"));
        assert_eq!(code(twice).await, Some(ErrorCode::UnsupportedMediaType));
        let zipped = post("application/json", b"{}");
        let zipped = zipped.insert_header((header::CONTENT_ENCODING, "gzip"));
        assert_eq!(code(zipped).await, Some(ErrorCode::UnsupportedMediaType));
    }

    #[actix_web::test]
    async fn what_is_no_json_object_is_an_invalid_body() {
        // C1, C5
        for body in [
            &b"\xEF\xBB\xBF{}"[..],
            b"{}{}",
            b"\xFF",
            b"[]",
            b" ",
            b"{\"grace\":\"\xFF\"}",
        ] {
            let found = code(post("application/json", body)).await;
            assert_eq!(found, Some(ErrorCode::InvalidBody), "{body:?}");
        }
        let nested = "[".repeat(60_000).into_bytes().leak();
        assert_eq!(
            code(post("application/json", nested)).await,
            Some(ErrorCode::InvalidBody)
        );
    }

    #[actix_web::test]
    async fn a_body_that_is_too_long_is_413_whatever_it_is() {
        // C5
        let long: &[u8] = vec![b' '; RoutePolicy::BODY_LIMIT + 1].leak();
        assert_eq!(
            code(post("text/plain", long)).await,
            Some(ErrorCode::BodyTooLarge)
        );
        let whole: &[u8] = [&long[2..], b"{}"].concat().leak();
        assert_eq!(whole.len(), RoutePolicy::BODY_LIMIT + 1);
        assert_eq!(code(post("application/json", &whole[1..])).await, None);
    }

    #[actix_web::test]
    async fn a_constraint_names_its_member() {
        // C2
        let found = answered(post("application/json", b"{\"grace\":10}")).await;
        let wanted = "grace must be a number from 0 to 9".to_owned();
        assert_eq!(found, Err((ErrorCode::InvalidField, wanted)));
    }
}
