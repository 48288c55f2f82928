//! What the product calls itself, and which hosts it answers to (contract C8).

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

/// The address under which people reach the product: scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    https: bool,
    loopback: bool,
    authority: Authority,
}

/// A text that is no address of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// It is no URL with a host.
    #[error("the public URL must look like https://api.example.org")]
    Malformed,
    /// It is neither http nor https.
    #[error("the public URL must begin with http:// or https://")]
    Scheme,
    /// It has a path, a query, a fragment, or a user.
    #[error("the public URL must have nothing but a scheme, a host and a port")]
    NotBare,
}

impl PublicUrl {
    /// Takes `https://api.example.org[:port]`, with or without a slash at its
    /// end.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl::Malformed)?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidPublicUrl::Scheme),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidPublicUrl::NotBare);
        }
        let (host, loopback) = match url.host().ok_or(InvalidPublicUrl::Malformed)? {
            Host::Domain(name) => (name.to_owned(), name == "localhost"),
            Host::Ipv4(ip) => (ip.to_string(), ip.is_loopback()),
            Host::Ipv6(ip) => (format!("[{ip}]"), ip.is_loopback()),
        };
        let port = url
            .port_or_known_default()
            .ok_or(InvalidPublicUrl::Malformed)?;
        Ok(Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            https,
            loopback,
            authority: Authority { host, port },
        })
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it can be reached from this machine only.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it is served over TLS, by us or by a proxy.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Reads a `Host` header of a request to this address.
    pub(crate) fn authority_of(&self, host: &str) -> Option<Authority> {
        Authority::parse(host, self.default_port())
    }

    /// Whether a request to this host is meant for us. On loopback, the three
    /// usual names of this machine are one.
    pub(crate) fn answers_to(&self, asked: &Authority) -> bool {
        let by_name = asked.host == self.authority.host;
        let by_machine = self.loopback
            && (asked.host == "localhost"
                || asked.host == Ipv4Addr::LOCALHOST.to_string()
                || asked.host == format!("[{}]", Ipv6Addr::LOCALHOST));
        asked.port == self.authority.port && (by_name || by_machine)
    }

    /// Whether a page from `origin` is our own (contract A9). On loopback it
    /// must come from the very host that the request was sent to, because the
    /// browser takes the three names for three sites.
    pub(crate) fn is_own_origin(&self, origin: &str, asked: Option<&Authority>) -> bool {
        let Some(found) = origin
            .strip_prefix(if self.https { "https://" } else { "http://" })
            .and_then(|host| Authority::parse(host, self.default_port()))
        else {
            return false;
        };
        if self.loopback {
            asked == Some(&found)
        } else {
            found == self.authority
        }
    }

    fn default_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.text)
    }
}

/// A host and a port, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    host: String,
    port: u16,
}

impl Authority {
    fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Some(Self {
            host,
            port: port.unwrap_or(default_port),
        })
    }
}

/// Another host that counts as ours; without a port, on every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    host: String,
    port: Option<u16>,
}

/// A text that is neither a host nor a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host or host:port is expected")]
pub struct InvalidExtraHost;

impl ExtraHost {
    /// Takes `api.example.org[:port]`, an address, or an international name in either
    /// of its spellings. An IPv6 address needs brackets only before a port.
    pub fn parse(text: &str) -> Result<Self, InvalidExtraHost> {
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            let host = format!("[{ip}]");
            return Ok(Self { host, port: None });
        }
        let (host, port) = split_port(text).ok_or(InvalidExtraHost)?;
        // What no client could ask for would be a host that nobody reaches.
        match Host::parse(&host) {
            Ok(Host::Domain(host)) => Ok(Self { host, port }),
            Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Ok(Self { host, port }),
            Err(_) => Err(InvalidExtraHost),
        }
    }

    pub(crate) fn matches(&self, asked: &Authority) -> bool {
        self.host == asked.host && self.port.is_none_or(|port| port == asked.port)
    }
}

/// Host and port, the host in the one spelling that is compared: lower case, and an
/// international name as its ASCII form, which is what browsers send.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':')?),
        };
        (format!("[{ip}]"), port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let host = if host.bytes().all(fits) {
            host.to_ascii_lowercase()
        } else {
            international(host)?
        };
        if host.is_empty() {
            return None;
        }
        (host, port)
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some((host, port))
}

/// The ASCII form of a name that has letters beyond ASCII.
fn international(host: &str) -> Option<String> {
    let fits = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_ascii() || !host.chars().all(fits) {
        return None;
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_scheme_a_host_and_a_port() {
        // C8
        for (text, shown, loopback, https) in [
            (
                "https://api.example.org",
                "https://api.example.org",
                false,
                true,
            ),
            (
                "https://api.example.org:443/",
                "https://api.example.org",
                false,
                true,
            ),
            (
                "HTTP://API.example.org:8080",
                "http://api.example.org:8080",
                false,
                false,
            ),
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
                true,
                false,
            ),
            ("http://[::1]:8080", "http://[::1]:8080", true, false),
            (
                "http://localhost:8080",
                "http://localhost:8080",
                true,
                false,
            ),
            (
                "http://localhost.example.org",
                "http://localhost.example.org",
                false,
                false,
            ),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!(url.as_str(), shown);
            assert_eq!(
                (url.is_loopback(), url.is_https()),
                (loopback, https),
                "{text}"
            );
        }
        for (text, error) in [
            ("", InvalidPublicUrl::Malformed),
            ("api.example.org", InvalidPublicUrl::Malformed),
            ("https://", InvalidPublicUrl::Malformed),
            ("ftp://api.example.org", InvalidPublicUrl::Scheme),
            ("https://api.example.org/x", InvalidPublicUrl::NotBare),
            ("https://api.example.org/?x", InvalidPublicUrl::NotBare),
            ("https://api.example.org/#x", InvalidPublicUrl::NotBare),
            ("https://me@api.example.org", InvalidPublicUrl::NotBare),
            ("https://me:pw@api.example.org", InvalidPublicUrl::NotBare),
        ] {
            assert_eq!(PublicUrl::parse(text), Err(error), "{text}");
        }
    }

    fn answers(url: &str, host: &str) -> bool {
        let url = PublicUrl::parse(url).unwrap();
        url.authority_of(host)
            .is_some_and(|asked| url.answers_to(&asked))
    }

    #[test]
    fn only_the_configured_host_and_port_is_answered_to() {
        // C8
        for host in ["api.example.org", "API.Example.Org", "api.example.org:443"] {
            assert!(answers("https://api.example.org", host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "api.example.org.",
            "api.example.org:80",
            "api.example.org:",
            "api.example.org:443:443",
            "api.example.org:+443",
            "api.example.org:99999",
            "api.example.org@evil.org",
            "evil.org/api.example.org",
            "127.0.0.1",
            "localhost",
            "[::1",
            "[api.example.org]",
        ] {
            assert!(!answers("https://api.example.org", host), "{host}");
        }
    }

    #[test]
    fn the_names_of_this_machine_are_one_on_loopback() {
        // C8
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            for host in [
                "127.0.0.1:8080",
                "localhost:8080",
                "[::1]:8080",
                "[0:0::1]:8080",
            ] {
                assert!(answers(url, host), "{url} {host}");
            }
            for host in [
                "127.0.0.1",
                "localhost:8081",
                "127.0.0.2:8080",
                "evil.localhost:8080",
            ] {
                assert!(!answers(url, host), "{url} {host}");
            }
        }
        assert!(answers("http://127.0.0.2:8080", "127.0.0.2:8080"));
    }

    #[test]
    fn an_extra_host_without_a_port_counts_on_every_port() {
        // C8
        let url = PublicUrl::parse("https://api.example.org").unwrap();
        let matches = |extra: &str, host: &str| {
            ExtraHost::parse(extra)
                .unwrap()
                .matches(&url.authority_of(host).unwrap())
        };
        assert!(matches("10.0.0.5", "10.0.0.5:8080") && matches("10.0.0.5", "10.0.0.5"));
        assert!(matches("10.0.0.5:8080", "10.0.0.5:8080"));
        assert!(!matches("10.0.0.5:8080", "10.0.0.5") && !matches("10.0.0.5", "10.0.0.6"));
        for six in ["fd00::5", "[fd00::5]", "FD00:0::5"] {
            assert!(
                matches(six, "[fd00::5]:8080") && matches(six, "[fd00::5]"),
                "{six}"
            );
            assert!(!matches(six, "[fd00::6]"), "{six}");
        }
        assert!(matches("[fd00::5]:8080", "[fd00::5]:8080"));
        assert!(!matches("[fd00::5]:8080", "[fd00::5]"));
        for odd in [
            "https://x",
            "",
            "a b",
            "a%62",
            "a:",
            "a:b",
            "xn--a.example",
            "\u{ad}",
            "[fd00::5",
            "[10.0.0.5]",
            "fd00::5:80000",
        ] {
            assert_eq!(ExtraHost::parse(odd), Err(InvalidExtraHost), "{odd}");
        }
    }

    #[test]
    fn an_international_name_has_one_spelling() {
        // C8
        let url = PublicUrl::parse("https://BÜCHER.example").unwrap();
        assert_eq!(url.as_str(), "https://xn--bcher-kva.example");
        let spellings = ["bücher.example", "BÜCHER.Example", "xn--bcher-kva.example"];
        for host in spellings {
            assert!(answers("https://bücher.example", host), "{host}");
            let asked = url.authority_of(host).unwrap();
            for extra in spellings {
                assert!(ExtraHost::parse(extra).unwrap().matches(&asked), "{extra}");
            }
        }
        for host in [
            "bücher.example.org",
            "bu\u{308}cher",
            "bücher.example:8",
            "bücher@example",
        ] {
            assert!(!answers("https://bücher.example", host), "{host}");
        }
    }

    #[test]
    fn an_origin_is_ours_when_scheme_host_and_port_are() {
        // A9
        let url = PublicUrl::parse("https://api.example.org").unwrap();
        let own = |origin: &str| url.is_own_origin(origin, url.authority_of("x.org").as_ref());
        assert!(own("https://api.example.org") && own("https://api.example.org:443"));
        for origin in [
            "null",
            "",
            "http://api.example.org",
            "https://api.example.org:8443",
            "https://api.example.org.evil.org",
            "https://api.example.org/",
            "https://x.org",
        ] {
            assert!(!own(origin), "{origin}");
        }
    }

    #[test]
    fn on_loopback_an_origin_is_the_host_that_was_asked() {
        // A9
        let url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let own =
            |origin: &str, host: &str| url.is_own_origin(origin, url.authority_of(host).as_ref());
        assert!(own("http://localhost:8080", "localhost:8080"));
        assert!(own("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!own("http://127.0.0.1:8080", "localhost:8080"));
        assert!(!own("http://127.0.0.1:3000", "127.0.0.1:8080"));
        assert!(!own("null", "127.0.0.1:8080"));
    }
}
