//! What a handler takes from a request. actix polls extractors side by side, so
//! that of two that fail either may win: who is calling was asked before them, and only
//! a role fails as an extractor. Everything else is asked by the handler, in the order
//! of contract C5.

mod client_address;
mod cluster_caller;
mod key_caller;
mod path_id;
mod query;
mod session_caller;
mod unread_body;

pub use client_address::Client;
pub(crate) use client_address::client_ip;
pub use cluster_caller::ClusterCaller;
pub(crate) use cluster_caller::cluster_credential_in;
pub use key_caller::KeyCaller;
pub(crate) use key_caller::key_in;
pub use path_id::{PathId, PathParameter, ServiceUserId};
pub use query::Query;
pub(crate) use session_caller::token_in;
pub use session_caller::{SessionCaller, Visitor, cookie_name, session_cookies};
pub use unread_body::UnreadBody;

use actix_web::http::header::HeaderMap;

/// The values of the `Authorization: Bearer` headers; what is no text becomes a
/// text that is nobody's secret.
fn bearers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(actix_web::http::header::AUTHORIZATION)
        .filter_map(|value| {
            let bytes = value.as_bytes();
            let (scheme, rest) = bytes.split_at_checked(7)?;
            if !scheme.eq_ignore_ascii_case(b"bearer ") {
                return None;
            }
            Some(std::str::from_utf8(rest).unwrap_or("\u{FFFD}").trim())
        })
        .filter(|token| !token.is_empty())
}
