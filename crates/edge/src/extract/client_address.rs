//! Where a request comes from (contract C8).

use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{HeaderMap, HeaderName},
};
use ipnet::IpNet;
use remotegpu_primitives::Origin;

use crate::error::{ApiError, ErrorCode};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from and what it is called, as the edge found it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address.
    pub ip: IpAddr,
    /// What the request is called.
    pub request_id: Arc<str>,
    /// When it came.
    pub came: Instant,
    /// What it calls itself, as far as that is a text.
    pub user_agent: Option<Arc<str>>,
}

impl Client {
    /// The same for the audit log.
    pub fn origin(&self) -> Origin {
        Origin {
            ip: Some(self.ip),
            request_id: Some(self.request_id.as_ref().to_owned()),
            user_agent: self.user_agent.as_deref().map(str::to_owned),
            form: None,
        }
    }

    pub(crate) fn of(request: &HttpRequest) -> Result<Self, ErrorCode> {
        let found = request.extensions().get::<Self>().cloned();
        found.ok_or(ErrorCode::Internal)
    }
}

impl FromRequest for Client {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).map_err(ApiError::from))
    }
}

/// The peer, or what trusted proxies say: each of them has added at the right
/// the address that it was called from, so the rightmost that is no proxy of
/// ours is the client. What stands further left is the client's own word.
pub(crate) fn client_ip(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> IpAddr {
    let Some(peer) = peer else {
        return IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let mut found = peer.ip().to_canonical();
    let forwarded: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .map(|value| value.to_str().unwrap_or(""))
        .flat_map(|value| value.split(','))
        .collect();
    for hop in forwarded.into_iter().rev() {
        if !is_trusted(found) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(ip) => found = ip,
            None => break,
        }
    }
    found
}

fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let found = client_ip(Some(peer.parse().unwrap()), &headers, &trusted);
        assert_eq!(found.to_string(), expected, "{forwarded:?}");
    }

    #[test]
    fn forwarded_headers_count_from_trusted_proxies_only() {
        // C8
        check("192.0.2.1:5000", &[], "192.0.2.1");
        check("192.0.2.1:5000", &["198.51.100.9"], "192.0.2.1");
        check("10.0.0.1:5000", &[], "10.0.0.1");
        check("10.0.0.1:5000", &["198.51.100.9"], "198.51.100.9");
        check("[::ffff:10.0.0.1]:5000", &["198.51.100.9"], "198.51.100.9");
        check("[::1]:5000", &["2001:db8::9"], "2001:db8::9");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        // C8
        check(
            "10.0.0.1:5000",
            &["203.0.113.1, 198.51.100.9, 10.0.0.2"],
            "198.51.100.9",
        );
        check(
            "10.0.0.1:5000",
            &["203.0.113.1", "198.51.100.9"],
            "198.51.100.9",
        );
        check("10.0.0.1:5000", &["198.51.100.9:4711"], "198.51.100.9");
        check("10.0.0.1:5000", &["[2001:db8::9]:4711"], "2001:db8::9");
        check("10.0.0.1:5000", &["198.51.100.9, unknown"], "10.0.0.1");
        check(
            "10.0.0.1:5000",
            &["198.51.100.9, unknown, 10.0.0.3"],
            "10.0.0.3",
        );
        check("10.0.0.1:5000", &["10.0.0.4, 10.0.0.3"], "10.0.0.4");
    }
}
