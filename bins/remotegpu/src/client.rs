//! The HTTP client of both command lines: JSON in, JSON out, problem documents as errors.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use time::OffsetDateTime;
use ureq::http::Method;
use url::Url;

use crate::connection::{Answer, Call, Connection};
use crate::problem::Problem;
use crate::secret::{Secret, masked};
use crate::trust::TrustOptions;

/// Creating a namespace may take the server ten seconds (contract N5).
const TIMEOUT: Duration = Duration::from_secs(30);
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
    ServiceUserToken(Secret),
    ApiKey(Secret),
}

/// A server, and who asks it.
pub struct Client {
    connection: Connection,
    server: Url,
    credential: Credential,
    has_answered: Cell<bool>,
    /// The server's time at its last answer.
    time: Cell<Option<OffsetDateTime>>,
}

impl Client {
    pub fn new(options: &ServerOptions) -> Result<Self> {
        Ok(Self {
            connection: Connection::new(&options.server, &options.trust)?.telling_of_waits(),
            server: options.server.clone(),
            credential: Credential::None,
            has_answered: Cell::new(false),
            time: Cell::new(None),
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
    pub fn with_service_user_token(self, token: Secret) -> Self {
        Self {
            credential: Credential::ServiceUserToken(token),
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
        self.post_with(path, &[], body)
    }

    pub fn post_with(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        self.ask(&Method::POST, path, query, body)
    }

    pub fn put(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.ask(&Method::PUT, path, &[], Some(body))
    }

    pub fn patch(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.ask(&Method::PATCH, path, &[], Some(body))
    }

    pub fn delete(&self, path: &[&str]) -> Result<Value> {
        self.delete_with(path, &[])
    }

    pub fn delete_with(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
        self.ask(&Method::DELETE, path, query, None)
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
        let mut headers = vec![("accept", "application/json".to_owned())];
        match &self.credential {
            Credential::None => {}
            Credential::SessionToken(token) | Credential::ServiceUserToken(token) => {
                headers.push(("authorization", format!("Bearer {}", token.reveal())));
            }
            Credential::ApiKey(key) => headers.push(("x-api-key", key.reveal().to_owned())),
        }
        let body = match body {
            Some(body) => {
                headers.push(("content-type", "application/json".to_owned()));
                Some(serde_json::to_vec(body)?)
            }
            None => (method == Method::POST).then(Vec::new),
        };
        let call = Call {
            method: method.clone(),
            url: self.url(path, query)?,
            headers,
            body,
        };
        let answer = self.connection.fetch(&call, TIMEOUT)?;
        self.has_answered.set(true);
        self.time.set(answer.time());
        if let Some(error) = self.connection.redirected(&call, &answer) {
            return Err(error);
        }
        let Answer { status, body, .. } = &answer;
        match *status {
            200..300 if body.is_empty() => Ok(Value::Null),
            200..300 => match serde_json::from_slice(body) {
                Ok(value) => Ok(value),
                // The parser's own words are of no use here, and the answer may hold a secret.
                Err(_) => bail!("{} answered with something that is no JSON", self.server),
            },
            status => {
                let by_token = matches!(self.credential, Credential::ServiceUserToken(_));
                let problem = Problem::new(status, body).by_token(by_token);
                Err(problem.come_again(answer.retry_after()).into())
            }
        }
    }

    /// Makes sure that there is a server which answers, before something is asked that nobody
    /// should have to ask twice.
    pub fn reach(&self) -> Result<()> {
        if self.has_answered.get() {
            return Ok(());
        }
        self.get(&["v1", "auth", "session"]).map(drop)
    }

    /// The server's time, by which a key ends: this machine's clock may be wrong.
    pub fn now(&self) -> Result<OffsetDateTime> {
        self.reach()?;
        self.time()
            .context("the server does not tell its time; give the time itself, with --expires-at")
    }

    /// The server's time at its last answer, if that told it.
    pub fn time(&self) -> Option<OffsetDateTime> {
        self.time.get()
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

/// Takes an address of http or https without credentials in it.
pub fn parse_server(text: &str) -> Result<Url, String> {
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let Some(url) = Url::parse(text).ok().filter(is_http) else {
        let begin = "an address begins with https:// or http://";
        let whole = format!("https://{text}");
        return Err(match Url::parse(&whole) {
            Ok(url) if !text.contains("//") && holds_nobody(&url) => {
                format!("{begin}; try {}", masked(&whole))
            }
            _ => begin.to_owned(),
        });
    };
    if !holds_nobody(&url) {
        return Err("an address holds no user and no password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the address of a server has no `?` and no `#`".to_owned());
    }
    Ok(url)
}

/// Whether an address has no user and no password in it.
fn holds_nobody(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
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
            "localhost:8080",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://user:pw@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
        ] {
            assert!(parse_server(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            parse_server("api.example.com:8443").unwrap_err(),
            "an address begins with https:// or http://; try https://api.example.com:8443"
        );
    }
}
