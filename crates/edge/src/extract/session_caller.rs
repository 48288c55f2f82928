//! Who acts for an account: with a session, or as a service user (contract A1, A3, A6,
//! A11, T8).

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
};
use remotegpu_control_plane::{Caller, OneTimePassword, Principal, Right};

use super::{Client, bearers, key_caller::is_key};
use crate::{
    credential::Place,
    error::{ApiError, ErrorCode},
};

/// Whoever acts for an account and has the right that the route's act asks for. They are asked
/// before the request's body is read (contract C5), and the act takes no other caller.
pub struct SessionCaller<R: Right>(pub Caller<R>);

impl<R: Right> FromRequest for SessionCaller<R> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    /// Of a route that lists sessions; on any other nobody is let in.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = || {
            let proven = request.extensions_mut().remove::<Principal>();
            let principal = proven.ok_or(ErrorCode::Internal)?;
            let origin = Client::of(request)?.origin();
            Ok(Self(match principal {
                Principal::Person(context) => Caller::signed_in(context, origin).may()?,
                Principal::ServiceUser(context) => Caller::service_user(context, origin).may()?,
            }))
        };
        ready(caller())
    }
}

/// Whoever calls a route that lists [`Credential::Nothing`](crate::Credential::Nothing) last:
/// somebody who is signed in, or nobody.
pub struct Visitor(pub Option<Caller<OneTimePassword>>);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proven = match request.extensions_mut().remove::<Principal>() {
            Some(Principal::Person(context)) => Some(context),
            Some(Principal::ServiceUser(_)) | None => None,
        };
        let origin = Client::of(request).map(|client| client.origin());
        let visitor =
            origin.map(|origin| Self(proven.map(|context| Caller::signed_in(context, origin))));
        ready(visitor.map_err(ApiError::from))
    }
}

/// Contract A7: the `__Host-` prefix binds the cookie to this host, and is not
/// to be had without TLS.
pub fn cookie_name(https: bool) -> &'static str {
    if https {
        "__Host-remotegpu_session"
    } else {
        "remotegpu_session"
    }
}

/// The values of all session cookies of a request.
pub fn session_cookies<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(header::COOKIE)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = pair.split_at(at);
            (found.trim_ascii() == name.as_bytes()).then(|| value[1..].trim_ascii())
        })
}

/// The one secret of a request by which somebody may act for an account, and where it is.
pub(crate) fn token_in(headers: &HeaderMap, https: bool) -> Result<(&str, Place), ErrorCode> {
    let cookies = session_cookies(headers, cookie_name(https))
        .map(|value| std::str::from_utf8(value).unwrap_or("\u{FFFD}"))
        .map(|value| (value, Place::Cookie));
    let tokens = bearers(headers)
        .filter(|token| !is_key(token))
        .map(|token| (token, Place::Bearer));
    let mut all = cookies.chain(tokens);
    match (all.next(), all.next()) {
        (None, _) => Err(ErrorCode::MissingAccessToken),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(ErrorCode::InvalidAccessToken),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};

    use super::*;

    fn check(given: &[(HeaderName, &[u8])], expected: Result<&str, ErrorCode>) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name.clone(), HeaderValue::from_bytes(value).unwrap());
        }
        let found = token_in(&headers, false).map(|(text, _)| text);
        assert_eq!(found, expected, "{given:?}");
    }

    #[test]
    fn a_session_comes_in_a_cookie_or_as_a_bearer() {
        // A1, A6
        check(&[(COOKIE, b"remotegpu_session=rgse_a")], Ok("rgse_a"));
        check(
            &[(COOKIE, b"theme=dark; remotegpu_session=rgse_a;x=y")],
            Ok("rgse_a"),
        );
        check(
            &[
                (COOKIE, b"theme=dark"),
                (COOKIE, b"remotegpu_session=rgse_a"),
            ],
            Ok("rgse_a"),
        );
        check(&[(AUTHORIZATION, b"Bearer rgse_a")], Ok("rgse_a"));
    }

    #[test]
    fn an_api_key_opens_no_session_route() {
        // A1, A3
        let missing = || Err(ErrorCode::MissingAccessToken);
        check(&[], missing());
        check(&[(AUTHORIZATION, b"Bearer rgpu_a")], missing());
        check(&[(AUTHORIZATION, b"Basic cmdzZV9h")], missing());
        check(&[(COOKIE, b"remotegpu_session")], missing());
        check(&[(COOKIE, b"__Host-remotegpu_session=rgse_a")], missing());
        check(
            &[(HeaderName::from_static("x-api-key"), b"rgpu_a")],
            missing(),
        );
    }

    #[test]
    fn two_sessions_are_none() {
        // A3
        let invalid = || Err(ErrorCode::InvalidAccessToken);
        check(
            &[(COOKIE, b"remotegpu_session=a; remotegpu_session=a")],
            invalid(),
        );
        check(
            &[
                (COOKIE, b"remotegpu_session=a"),
                (COOKIE, b"remotegpu_session=b"),
            ],
            invalid(),
        );
        check(
            &[
                (COOKIE, b"remotegpu_session=a"),
                (AUTHORIZATION, b"Bearer a"),
            ],
            invalid(),
        );
        check(
            &[(AUTHORIZATION, b"Bearer a"), (AUTHORIZATION, b"Bearer a")],
            invalid(),
        );
    }

    #[test]
    fn what_is_no_text_is_nobodys_session() {
        // C5
        check(&[(COOKIE, b"remotegpu_session=\xFF")], Ok("\u{FFFD}"));
        check(&[(AUTHORIZATION, b"Bearer \xFF")], Ok("\u{FFFD}"));
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_where_there_is_tls() {
        // A7
        assert_eq!(cookie_name(true), "__Host-remotegpu_session");
        assert_eq!(cookie_name(false), "remotegpu_session");
    }
}
