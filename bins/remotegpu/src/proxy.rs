//! Which proxy leads to a server: the variables as `kubectl` reads them (Go's `httpproxy`), save
//! that one which cannot be understood is an error. Silence would mean a direct call where
//! somebody forbade one.

use std::fmt;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use ureq::ProxyProtocol;
use url::{Host, Url};

/// A proxy, and the variable that names it.
#[derive(Debug, Clone)]
pub struct Proxy {
    variable: &'static str,
    address: Url,
}

/// The values of variables; one that is empty is not there.
pub type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>>;

/// The variables of this process.
pub fn environment(name: &str) -> Result<Option<String>> {
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) => match value.into_string() {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(_) => bail!("{name} is not UTF-8"),
        },
    }
}

impl Proxy {
    /// The proxy for this server; none where the server is this machine, or excepted.
    pub fn to(server: &Url, variables: Variables) -> Result<Option<Self>> {
        let names = match server.scheme() {
            "https" => ["HTTPS_PROXY", "https_proxy"],
            _ => ["HTTP_PROXY", "http_proxy"],
        };
        let Some((variable, value)) = first(names, variables)? else {
            return Ok(None);
        };
        let except = first(["NO_PROXY", "no_proxy"], variables)?;
        if is_loopback(server) || except.is_some_and(|(_, list)| excepts(&list, server)) {
            return Ok(None);
        }
        // A server that runs this as a CGI program would set it from a header `Proxy`.
        if server.scheme() == "http" && variables("REQUEST_METHOD")?.is_some() {
            bail!("{variable} is not to be trusted where REQUEST_METHOD is set");
        }
        let address = parse(&value).with_context(|| format!("{variable} names no proxy"))?;
        Ok(Some(Self { variable, address }))
    }

    /// As the HTTP client takes it. The proxy looks names up, as Go has it.
    pub fn for_ureq(&self) -> Result<ureq::Proxy> {
        let protocol = match self.address.scheme() {
            "http" => ProxyProtocol::Http,
            "https" => ProxyProtocol::Https,
            _ => ProxyProtocol::Socks5h,
        };
        let decoded = |text| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map_err(|_| anyhow!("{} holds a password that is no text", self.variable))
        };
        let mut proxy = ureq::Proxy::builder(protocol)
            .host(self.address.host_str().unwrap_or_default())
            .resolve_target(false);
        if let Some(port) = self.port() {
            proxy = proxy.port(port);
        }
        if !self.address.username().is_empty() {
            proxy = proxy.username(&decoded(self.address.username())?);
        }
        if let Some(password) = self.address.password() {
            proxy = proxy.password(&decoded(password)?);
        }
        proxy
            .build()
            .map_err(|_| anyhow!("{} names no proxy", self.variable))
    }

    /// Its address, without the password that may stand in it.
    pub fn origin(&self) -> String {
        let (scheme, host) = (self.address.scheme(), self.address.host_str());
        let port = self
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{}{port}", host.unwrap_or_default())
    }

    /// Whether the connection to the proxy itself is encrypted.
    pub fn has_tls(&self) -> bool {
        self.address.scheme() == "https"
    }

    fn port(&self) -> Option<u16> {
        let of_scheme = if self.address.scheme().starts_with("socks") {
            Some(1080)
        } else {
            None
        };
        self.address.port_or_known_default().or(of_scheme)
    }
}

/// The proxy without the password that may stand in its address.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which {} names", self.origin(), self.variable)
    }
}

fn first(names: [&'static str; 2], variables: Variables) -> Result<Option<(&'static str, String)>> {
    for name in names {
        if let Some(value) = variables(name)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

/// `http://proxy:3128`, or the same without a scheme.
fn parse(text: &str) -> Result<Url> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // Neither the parser's words nor the text itself: a password may stand in it.
    let url = Url::parse(&whole).ok().filter(Url::has_host);
    let url = url.context("an address such as http://proxy.example.com:3128 is wanted")?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" => Ok(url),
        scheme => bail!("a proxy of the kind `{scheme}` is not known"),
    }
}

/// Whether an address is one of this machine's own.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a list as `NO_PROXY` has it names the server.
fn excepts(list: &str, server: &Url) -> bool {
    let port = server.port_or_known_default();
    let (name, address) = match server.host() {
        None => return false,
        Some(Host::Domain(name)) => (name.to_ascii_lowercase(), None),
        Some(Host::Ipv4(address)) => (String::new(), Some(IpAddr::from(address))),
        Some(Host::Ipv6(address)) => (String::new(), Some(IpAddr::from(address).to_canonical())),
    };
    list.split(',').map(str::trim).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Ok(net) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| net.contains(&address));
        }
        let (host, wanted) = split_port(&entry);
        if host.is_empty() || wanted.is_some_and(|wanted| wanted.parse().ok() != port) {
            return false;
        }
        match (address, host.parse::<IpAddr>()) {
            (Some(address), Ok(listed)) => address == listed.to_canonical(),
            (None, Err(_)) => is_in_domain(&name, host),
            _ => false,
        }
    })
}

/// `host:port` or `[address]:port` taken apart; a bare IPv6 address has no port.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => (host, Some(port)),
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (entry, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port.filter(|port| !port.is_empty()))
}

/// `example.com` means itself and all below it, `.example.com` and `*.example.com` all below it.
fn is_in_domain(name: &str, domain: &str) -> bool {
    let below = domain
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'));
    match below.unwrap_or(domain) {
        below if below.starts_with('.') => name.ends_with(below),
        domain => name == domain || name.ends_with(&format!(".{domain}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_for(server: &str, set: &[(&str, &str)]) -> Result<Option<String>> {
        let variables = |name: &str| {
            let found = set.iter().find(|(key, _)| *key == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        let proxy = Proxy::to(&Url::parse(server)?, &variables)?;
        Ok(proxy.map(|proxy| proxy.address.to_string()))
    }

    // X4; the cases are those of Go's own tests.
    #[test]
    fn variables_are_read_as_kubectl_reads_them() {
        let check = |server: &str, set: &[(&str, &str)], expected: Option<&str>| {
            let proxy = proxy_for(server, set).unwrap();
            assert_eq!(proxy.as_deref(), expected, "{server} {set:?}");
        };
        let (http, https) = ("http://example.com", "https://example.com");
        check(http, &[], None);
        check(
            http,
            &[("HTTP_PROXY", "127.0.0.1:8080")],
            Some("http://127.0.0.1:8080/"),
        );
        check(
            http,
            &[("http_proxy", "cache:1234")],
            Some("http://cache:1234/"),
        );
        check(
            http,
            &[("HTTP_PROXY", "https://cache")],
            Some("https://cache/"),
        );
        check(
            http,
            &[("HTTP_PROXY", "socks5://127.0.0.1")],
            Some("socks5://127.0.0.1"),
        );
        check(https, &[("HTTP_PROXY", "http://cache:1")], None);
        check(https, &[("ALL_PROXY", "http://cache:1")], None);
        check(https, &[("https_proxy", "http://a:1")], Some("http://a:1/"));
        let both = [("HTTPS_PROXY", "http://b:1"), ("https_proxy", "http://a:1")];
        check(https, &both, Some("http://b:1/"));
        check(http, &[("HTTPS_PROXY", "http://a:1")], None);
        for local in [
            "http://localhost:8080",
            "http://127.9.9.9",
            "http://[::1]:1",
        ] {
            check(local, &[("HTTP_PROXY", "http://a:1")], None);
        }
    }

    // X4
    #[test]
    fn what_cannot_be_understood_is_no_direct_call() {
        for value in [
            "://",
            "http://a b",
            "ftp://proxy",
            "socks4://proxy",
            "http://u:secret@:1",
        ] {
            let error = proxy_for("https://example.com", &[("HTTPS_PROXY", value)]);
            let error = format!("{:#}", error.unwrap_err());
            assert!(error.starts_with("HTTPS_PROXY names no proxy: "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let cgi = [("HTTP_PROXY", "http://a:1"), ("REQUEST_METHOD", "GET")];
        assert!(proxy_for("http://example.com", &cgi).is_err());
    }

    // X4
    #[test]
    fn exceptions_are_names_addresses_and_ports() {
        for (list, server, excepted) in [
            ("example.com", "https://example.com", true),
            ("example.com", "https://api.example.com", true),
            ("example.com", "https://anexample.com", false),
            (".example.com", "https://example.com", false),
            (".example.com", "https://api.example.com", true),
            ("*.example.com", "https://api.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("a, EXAMPLE.com ,b", "https://example.com", true),
            ("example.com:443", "https://example.com", true),
            ("example.com:444", "https://example.com", false),
            ("*", "https://example.com", true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.2.3", "https://10.1.2.3:8443", true),
            ("10.1.2.3:443", "https://10.1.2.3:8443", false),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
            ("2001:db8::1", "https://[2001:db8::1]:8443", true),
            ("2001:db8::/32", "https://[2001:db8::2]", true),
            (",:443,", "https://example.com", false),
            ("", "https://example.com", false),
        ] {
            let server_url = Url::parse(server).unwrap();
            assert_eq!(excepts(list, &server_url), excepted, "{list} {server}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let address = parse("http://me:p%40ss@proxy.example.com:3128").unwrap();
        let proxy = Proxy {
            variable: "HTTPS_PROXY",
            address,
        };
        assert_eq!(
            proxy.to_string(),
            "http://proxy.example.com:3128, which HTTPS_PROXY names"
        );
        let taken = proxy.for_ureq().unwrap();
        assert_eq!(
            (taken.username(), taken.password()),
            (Some("me"), Some("p@ss"))
        );
    }

    #[test]
    fn loopback_is_known_in_every_form() {
        for (address, expected) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(is_loopback(&url), expected, "{address}");
        }
    }
}
