//! A page of another site must not act in a visitor's name (contract A9).

use actix_web::http::{
    Method,
    header::{self, HeaderMap, HeaderName},
};

use crate::{
    error::ErrorCode,
    extract::{cookie_name, session_cookies},
    policy::Csrf,
    public_url::{Authority, PublicUrl},
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that changes something and that a page of another site
/// made a browser send.
pub(crate) fn check(
    public_url: &PublicUrl,
    asked: Option<&Authority>,
    method: &Method,
    judged: Csrf,
    headers: &HeaderMap,
) -> Result<(), ErrorCode> {
    let name = cookie_name(public_url.is_https());
    let judged = judged == Csrf::Always || session_cookies(headers, name).next().is_some();
    if method.is_safe() || !judged {
        return Ok(());
    }
    let foreign_site = headers.get_all(FETCH_SITE).any(|site| {
        let site = site.as_bytes();
        site.eq_ignore_ascii_case(b"cross-site") || site.eq_ignore_ascii_case(b"same-site")
    });
    let foreign_origin = headers.get_all(header::ORIGIN).any(|origin| {
        let own = |origin| public_url.is_own_origin(origin, asked);
        !origin.to_str().is_ok_and(own)
    });
    if foreign_site || foreign_origin {
        Err(ErrorCode::Csrf)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, HeaderValue, ORIGIN};

    use super::*;

    const OWN: (HeaderName, &str) = (ORIGIN, "https://api.example.org");
    const COOKIE_PAIR: (HeaderName, &str) = (COOKIE, "__Host-remotegpu_session=x");

    fn passes(method: &Method, judged: Csrf, given: &[(HeaderName, &str)]) -> bool {
        let url = PublicUrl::parse("https://api.example.org").unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        let asked = url.authority_of("api.example.org");
        check(&url, asked.as_ref(), method, judged, &headers).is_ok()
    }

    #[test]
    fn a_request_of_another_site_is_refused() {
        // A9
        let post = |given: &[_]| passes(&Method::POST, Csrf::WithCookie, given);
        assert!(post(&[COOKIE_PAIR]));
        assert!(post(&[COOKIE_PAIR, OWN]));
        assert!(post(&[COOKIE_PAIR, OWN, (FETCH_SITE, "same-origin")]));
        assert!(post(&[COOKIE_PAIR, (FETCH_SITE, "none")]));
        for origin in ["null", "https://evil.org", "http://api.example.org", ""] {
            assert!(!post(&[COOKIE_PAIR, (ORIGIN, origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "Cross-Site"] {
            assert!(!post(&[COOKIE_PAIR, OWN, (FETCH_SITE, site)]), "{site}");
        }
        assert!(!post(&[COOKIE_PAIR, OWN, (ORIGIN, "https://evil.org")]));
    }

    #[test]
    fn signing_in_is_judged_without_a_cookie_and_reading_never() {
        // A9
        let evil = [(ORIGIN, "https://evil.org")];
        let [origin] = evil.clone();
        assert!(!passes(&Method::POST, Csrf::Always, &evil));
        assert!(!passes(&Method::POST, Csrf::Always, &[(ORIGIN, "null")]));
        assert!(passes(&Method::POST, Csrf::Always, &[]));
        assert!(passes(&Method::POST, Csrf::WithCookie, &evil));
        assert!(passes(
            &Method::GET,
            Csrf::WithCookie,
            &[COOKIE_PAIR, origin.clone()]
        ));
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!passes(
                &method,
                Csrf::WithCookie,
                &[COOKIE_PAIR, origin.clone()]
            ));
        }
    }
}
