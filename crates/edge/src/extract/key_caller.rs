//! Who calls with an API key (contract A2 to A5).

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{HeaderMap, HeaderName},
};
use remotegpu_control_plane::KeyHolder;
use remotegpu_keys::PresentedKey;

use super::{Client, bearers};
use crate::{
    credential::Secret,
    error::{ApiError, ErrorCode},
    middleware::REQUEST_ID,
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Whoever came with a key that opens something.
pub struct KeyCaller(pub KeyHolder);

impl FromRequest for KeyCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    /// Of a route that lists keys; on any other nobody is let in.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = || {
            let proven = request.extensions_mut().remove::<PresentedKey>();
            let presented = proven.ok_or(ErrorCode::Internal)?;
            let client = Client::of(request)?;
            let given = request.headers().get(REQUEST_ID);
            let named = given.is_some_and(|id| id.as_bytes() == client.request_id.as_bytes());
            let holder = KeyHolder::new(presented, client.origin());
            Ok(Self(
                holder.under_its_own_name(named).that_came(client.came),
            ))
        };
        ready(caller())
    }
}

/// The one key of a request. The same key in both places is one key.
pub(crate) fn key_in(headers: &HeaderMap) -> Result<&str, ErrorCode> {
    let mut in_header = headers
        .get_all(API_KEY)
        .map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or("\u{FFFD}"));
    let in_header = match (in_header.next(), in_header.next()) {
        (_, Some(_)) => return Err(ErrorCode::InvalidApiKey),
        (first, None) => first,
    };
    let in_bearer = bearers(headers).filter(|token| is_key(token));
    let mut all = in_header
        .into_iter()
        .filter(|key| !key.is_empty())
        .chain(in_bearer);
    let first = all.next().ok_or(ErrorCode::MissingApiKey)?;
    if all.all(|other| other == first) {
        Ok(first)
    } else {
        Err(ErrorCode::InvalidApiKey)
    }
}

/// Any other Bearer is for whoever acts for an account (contract A3).
pub(super) fn is_key(bearer: &str) -> bool {
    Secret::of(bearer) == Some(Secret::ApiKey)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderValue};

    use super::*;

    fn check(given: &[(HeaderName, &[u8])], expected: Result<&str, ErrorCode>) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name.clone(), HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(key_in(&headers), expected, "{given:?}");
    }

    #[test]
    fn a_key_comes_in_one_of_two_headers() {
        // A2, A3
        check(&[(API_KEY, b"rgpu_a")], Ok("rgpu_a"));
        check(&[(AUTHORIZATION, b"Bearer rgpu_a")], Ok("rgpu_a"));
        check(&[(AUTHORIZATION, b"bearer  rgpu_a")], Ok("rgpu_a"));
        check(
            &[(API_KEY, b"rgpu_a"), (AUTHORIZATION, b"Bearer rgpu_a")],
            Ok("rgpu_a"),
        );
        check(
            &[(API_KEY, b"rgpu_a"), (AUTHORIZATION, b"Bearer rgse_a")],
            Ok("rgpu_a"),
        );
    }

    #[test]
    fn without_a_key_it_is_missing() {
        // A2, A3, A5
        let missing = || Err(ErrorCode::MissingApiKey);
        check(&[], missing());
        check(&[(API_KEY, b"")], missing());
        for other in ["rgse_a", "rgsu_a", "rgat_a"] {
            let bearer = format!("Bearer {other}");
            check(&[(AUTHORIZATION, bearer.as_bytes())], missing());
        }
        check(&[(AUTHORIZATION, b"Bearer ")], missing());
        check(&[(AUTHORIZATION, b"Basic rgpu_a")], missing());
        check(&[(AUTHORIZATION, b"rgpu_a")], missing());
        check(&[(AUTHORIZATION, b"Bearer \xFF")], missing());
        check(&[(COOKIE, b"x-api-key=rgpu_a")], missing());
    }

    #[test]
    fn two_keys_are_none() {
        // A3
        let invalid = || Err(ErrorCode::InvalidApiKey);
        check(
            &[(API_KEY, b"rgpu_a"), (AUTHORIZATION, b"Bearer rgpu_b")],
            invalid(),
        );
        check(&[(API_KEY, b"rgpu_a"), (API_KEY, b"rgpu_a")], invalid());
        check(
            &[
                (AUTHORIZATION, b"Bearer rgpu_a"),
                (AUTHORIZATION, b"Bearer rgpu_b"),
            ],
            invalid(),
        );
        check(
            &[(API_KEY, b"rgse_a"), (AUTHORIZATION, b"Bearer rgpu_b")],
            invalid(),
        );
    }

    #[test]
    fn what_is_no_text_is_no_key() {
        // A4, C5
        check(&[(API_KEY, b"\xFF")], Ok("\u{FFFD}"));
    }
}
