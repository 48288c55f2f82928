//! For whom a request is meant (contract C8).

use actix_web::http::{
    Uri,
    header::{self, HeaderMap},
};

use crate::{
    edge::Edge,
    error::ErrorCode,
    public_url::{Authority, PublicUrl},
};

/// Refuses a request that is meant for another host. A request may name its host
/// in the target (HTTP/2 always does), in `Host`, or in both: each must be ours.
pub(crate) fn check(edge: &Edge, uri: &Uri, headers: &HeaderMap) -> Result<(), ErrorCode> {
    let public_url = &edge.config.public_url;
    let mut named = 0;
    for host in hosts(uri, headers) {
        named += 1;
        let ours = host
            .and_then(|host| public_url.authority_of(host))
            .is_some_and(|asked| edge.answers_to(&asked));
        if !ours {
            return Err(ErrorCode::Misdirected);
        }
    }
    if named == 0 {
        return Err(ErrorCode::Misdirected);
    }
    Ok(())
}

/// The host that a request names first, for comparing origins with.
pub(crate) fn asked(public_url: &PublicUrl, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let host = hosts(uri, headers).next()??;
    public_url.authority_of(host)
}

fn hosts<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> impl Iterator<Item = Option<&'a str>> {
    let in_target = uri.authority().map(|authority| Some(authority.as_str()));
    let in_header = headers
        .get_all(header::HOST)
        // An international name may come in letters beyond ASCII.
        .map(|value| std::str::from_utf8(value.as_bytes()).ok());
    in_target.into_iter().chain(in_header)
}
