//! A name for each request (contract C3).

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use rand::Rng;
use uuid::fmt::Hyphenated;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's own name for the request if it fits, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let fits = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    given.filter(fits).map_or_else(new, Arc::from)
}

fn new() -> Arc<str> {
    let mut bytes = [0; 16];
    // A name is no secret: the thread's own generator asks the system now and
    // then, not for each request.
    rand::rng().fill_bytes(&mut bytes);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let text = &mut [0; Hyphenated::LENGTH];
    Arc::from(&*id.hyphenated().encode_lower(text))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_fitting_id_is_echoed_and_any_other_replaced() {
        // C3
        let echoed = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            request_id(&headers).as_bytes() == id
        };
        assert!(echoed(b"a") && echoed(b"A-z_0.9") && echoed(&[b'x'; 128]));
        for bad in [
            &b""[..],
            b"a b",
            b"a/b",
            b"\xFF",
            &[b'x'; 129],
            b"a,b",
            b"<script>",
        ] {
            assert!(!echoed(bad), "{bad:?}");
        }
        let made = request_id(&HeaderMap::new());
        assert_eq!(made.len(), 36);
        assert_ne!(made, request_id(&HeaderMap::new()));
    }
}
