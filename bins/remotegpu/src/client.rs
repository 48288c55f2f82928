//! The HTTP client of both command lines: JSON in, JSON out, problem documents as errors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use url::{Host, Url};

use crate::problem::Problem;
use crate::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Creating a namespace may take the server ten seconds (contract N5).
const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: u64 = 4 << 20;
/// More pages than an account can fill; a server that never ends its list is given up.
const PAGE_LIMIT: usize = 1000;

/// Which server to ask, and whom to trust about its name.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// Address of the RemoteGPU server.
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "REMOTEGPU_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = parse_server
    )]
    pub server: Url,

    #[command(flatten)]
    pub trust: TrustOptions,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrustOptions {
    /// File with the certificate authorities to trust, in PEM, instead of the public ones.
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "REMOTEGPU_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}

impl ServerOptions {
    /// The server's address in one form, whatever slash the user put at its end.
    pub fn name(&self) -> String {
        self.server.as_str().trim_end_matches('/').to_owned()
    }
}

/// What a request proves the caller with.
enum Credential {
    None,
    SessionToken(Secret),
    ApiKey(Secret),
}

/// A server, and who asks it.
pub struct Client {
    agent: Agent,
    server: Url,
    credential: Credential,
}

impl Client {
    pub fn new(options: &ServerOptions) -> Result<Self> {
        Ok(Self {
            agent: agent(&options.server, &options.trust, TIMEOUT)?,
            server: options.server.clone(),
            credential: Credential::None,
        })
    }

    #[must_use]
    pub fn with_session_token(self, token: Secret) -> Self {
        Self {
            credential: Credential::SessionToken(token),
            ..self
        }
    }

    #[must_use]
    pub fn with_api_key(self, key: Secret) -> Self {
        Self {
            credential: Credential::ApiKey(key),
            ..self
        }
    }

    pub fn get(&self, path: &[&str]) -> Result<Value> {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
        self.ask(&Method::GET, path, query, None)
    }

    pub fn post(&self, path: &[&str], body: Option<&Value>) -> Result<Value> {
        self.ask(&Method::POST, path, &[], body)
    }

    pub fn put(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.ask(&Method::PUT, path, &[], Some(body))
    }

    pub fn patch(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.ask(&Method::PATCH, path, &[], Some(body))
    }

    pub fn delete(&self, path: &[&str]) -> Result<Value> {
        self.ask(&Method::DELETE, path, &[], None)
    }

    /// Every item of a list, over all its pages (contract C4).
    pub fn list(&self, path: &[&str]) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGE_LIMIT {
            let mut query = vec![("limit", "200")];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get_with(path, &query)?;
            let Value::Array(found) = page["items"].take() else {
                bail!("the server answered with something that is no list");
            };
            items.extend(found);
            match page["next_cursor"].take() {
                Value::String(next) => cursor = Some(next),
                _ => return Ok(items),
            }
        }
        bail!("the server's list does not end")
    }

    fn ask(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.url(path, query)?.as_str())
            .header("accept", "application/json");
        request = match &self.credential {
            Credential::None => request,
            Credential::SessionToken(token) => {
                request.header("authorization", format!("Bearer {}", token.reveal()))
            }
            Credential::ApiKey(key) => request.header("x-api-key", key.reveal()),
        };
        let answer = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                fetch(&self.agent, request.body(serde_json::to_vec(body)?)?)
            }
            None if method == Method::POST => fetch(&self.agent, request.body(Vec::new())?),
            None => fetch(&self.agent, request.body(())?),
        };
        let Answer { status, body } =
            answer.with_context(|| format!("no answer from {}", self.server))?;
        match status {
            200..300 if body.is_empty() => Ok(Value::Null),
            200..300 => match serde_json::from_slice(&body) {
                Ok(value) => Ok(value),
                // The parser's own words are of no use here, and the answer may hold a secret.
                Err(_) => bail!("{} answered with something that is no JSON", self.server),
            },
            _ => Err(Problem::new(status, &body).into()),
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.server.clone();
        // Each segment is percent-encoded, so that an odd identifier cannot reach another route.
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("{} cannot be a server", self.server),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// An answer that came whole.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends a request and reads its answer, whatever its status.
pub fn fetch(
    agent: &Agent,
    request: Request<impl ureq::AsSendBody>,
) -> Result<Answer, ureq::Error> {
    let mut response = agent.run(request)?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_vec()?,
    })
}

/// An agent for one server. It follows no redirect: a credential is for the server it was meant
/// for. A server on this machine is asked directly, whatever proxy the environment names.
pub fn agent(server: &Url, trust: &TrustOptions, timeout: Duration) -> Result<Agent> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = &trust.ca_file {
        tls = tls.root_certs(read_certificates(path)?);
    }
    let mut config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(timeout))
        .user_agent(concat!("remotegpu/", env!("CARGO_PKG_VERSION")));
    if is_loopback(server) {
        config = config.proxy(None);
    }
    Ok(config.build().new_agent())
}

fn read_certificates(path: &Path) -> Result<RootCerts> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.with_context(|| format!("cannot read {}", path.display()))?
        {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(RootCerts::from(certificates))
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

/// Takes an address of http or https without credentials in it.
pub fn parse_server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("an address begins with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user and no password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the address of a server has no `?` and no `#`".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_identifier_stays_one_segment() {
        let options = ServerOptions {
            server: parse_server("https://example.com/api/").unwrap(),
            trust: TrustOptions::default(),
        };
        let client = Client::new(&options).unwrap();
        let url = client
            .url(&["v1", "a/../b?c#d", "x y"], &[("cursor", "a&b")])
            .unwrap();
        assert_eq!(
            url.as_str(),
            "https://example.com/api/v1/a%2F..%2Fb%3Fc%23d/x%20y?cursor=a%26b"
        );
        assert_eq!(options.name(), "https://example.com/api");
    }

    #[test]
    fn addresses_that_are_no_server_are_refused() {
        for wrong in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://user:pw@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
        ] {
            assert!(parse_server(wrong).is_err(), "{wrong}");
        }
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
            assert_eq!(
                is_loopback(&Url::parse(address).unwrap()),
                expected,
                "{address}"
            );
        }
    }
}
