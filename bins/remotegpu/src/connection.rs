//! One server as both command lines reach it: through which proxy, trusting whom, how often it is
//! asked again, and what is said when it does not answer.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};
use ureq::tls::TlsConfig;
use url::Url;

use crate::output;
use crate::problem::Problem;
use crate::proxy::{self, Proxy};
use crate::trust::TrustOptions;

mod failure;

/// How long a connection may take to be made, its TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody is made to wait for longer before a further try.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Those who were told the same second do not come at the same moment.
const JITTER: Duration = Duration::from_millis(250);
/// What is left for the answer itself, when there has been a pause.
const FOR_THE_ANSWER: Duration = Duration::from_millis(200);
/// So long a person waits without being told why.
const SILENCE: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: u64 = 4 << 20;

/// A request, which may be sent more than once.
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

/// An answer that came whole.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// When the request was sent that it answers, and when all of it had come.
    pub asked: Instant,
    pub came: Instant,
    headers: HeaderMap,
}

/// How a server is reached.
pub struct Connection {
    agent: Agent,
    origin: String,
    proxy: Option<Proxy>,
    trust: TrustOptions,
    tells_of_waits: bool,
}

impl Connection {
    /// It follows no redirect: a credential is for the server it was meant for.
    pub fn new(server: &Url, trust: &TrustOptions) -> Result<Self> {
        let proxy = Proxy::to(server, &proxy::environment)?;
        let mut tls = TlsConfig::builder();
        let proxy_has_tls = proxy.as_ref().is_some_and(Proxy::has_tls);
        if trust.ca_file.is_some() || server.scheme() == "https" || proxy_has_tls {
            tls = tls.root_certs(trust.root_certificates()?);
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .proxy(proxy.as_ref().map(Proxy::for_ureq).transpose()?)
            .user_agent(concat!("remotegpu/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: agent.new_agent(),
            origin: origin(server),
            proxy,
            trust: trust.clone(),
            tells_of_waits: false,
        })
    }

    /// Says so, once for a request, when a person has to wait for a server that is busy.
    #[must_use]
    pub fn telling_of_waits(self) -> Self {
        Self {
            tells_of_waits: true,
            ..self
        }
    }

    /// The answer, whatever its status, within this time. Who is refused only because too many
    /// come is asked again, as the server says when (contract X4).
    pub fn fetch(&self, call: &Call, within: Duration) -> Result<Answer> {
        let end = Instant::now() + within;
        // Who comes again under the same name has kept its place in the line.
        let name = format!("{:016x}{:016x}", random(), random());
        let mut waited = Duration::ZERO;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let asked = self.ask(call, &name, left);
            let answer = asked.map_err(|error| self.failure(&error, within))?;
            let left = end.saturating_duration_since(Instant::now());
            let Some(pause) = answer.comes_again_after() else {
                return Ok(answer);
            };
            let spare = left.checked_sub(pause).unwrap_or_default();
            let Some(spare) = spare.checked_sub(FOR_THE_ANSWER) else {
                return Ok(answer);
            };
            if self.tells_of_waits && waited < SILENCE && waited + pause >= SILENCE {
                output::say(&format!(
                    "{} is busy; trying again for up to {} seconds",
                    self.origin,
                    left.as_secs()
                ));
            }
            waited += pause;
            thread::sleep(pause + JITTER.min(spare).mul_f64(chance()));
        }
    }

    fn ask(&self, call: &Call, name: &str, within: Duration) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(call.url.as_str())
            .header("x-request-id", name);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let asked = Instant::now();
        let mut response = match &call.body {
            Some(body) => self.send(request.body(body.as_slice())?, within)?,
            None => self.send(request.body(())?, within)?,
        };
        let body = response.body_mut().with_config().limit(ANSWER_LIMIT);
        Ok(Answer {
            body: body.read_to_vec()?,
            asked,
            came: Instant::now(),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
        })
    }

    fn send(
        &self,
        request: Request<impl ureq::AsSendBody>,
        within: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let configured = self.agent.configure_request(request);
        let within = within.max(Duration::from_millis(1));
        self.agent
            .run(configured.timeout_global(Some(within)).build())
    }

    /// What to say of an answer that leads elsewhere.
    pub fn redirected(&self, call: &Call, answer: &Answer) -> Option<Error> {
        let location = answer.header("location")?;
        if !(300..400).contains(&answer.status) {
            return None;
        }
        let target = call.url.join(location).map(|url| origin(&url) + url.path());
        let target = target.unwrap_or_else(|_| "nowhere".to_owned());
        let origin = &self.origin;
        Some(anyhow!(
            "{origin} redirects to {target}, which is not followed: is {origin} the right address?"
        ))
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's time as it answered, from whatever header tells it.
    pub fn time(&self) -> Option<OffsetDateTime> {
        match self.server_time() {
            Some(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
            None => OffsetDateTime::parse(self.header("date")?, &Rfc2822).ok(),
        }
    }

    /// In how long the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The server's clock as it answered, in seconds since 1970 (contract X4).
    pub fn server_time(&self) -> Option<i64> {
        self.header("x-remotegpu-time")?.parse().ok()
    }

    #[cfg(test)]
    pub(crate) fn told_at(asked: Instant, took: Duration, server: i64) -> Self {
        let headers = [("x-remotegpu-time", server.to_string())];
        Self {
            status: 200,
            body: Vec::new(),
            asked,
            came: asked + took,
            headers: HeaderMap::from_iter(headers.map(|(name, value)| {
                let name = ureq::http::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })),
        }
    }

    /// In how long to come again, where that is all that was wrong.
    fn comes_again_after(&self) -> Option<Duration> {
        let overloaded = || Problem::new(self.status, &self.body).code() == Some("overloaded");
        if self.status != 429 && !(self.status == 503 && overloaded()) {
            return None;
        }
        self.retry_after().filter(|pause| *pause <= LONGEST_PAUSE)
    }
}

/// An address without its path, and without what else may stand in it.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A number from 0 to 1.
fn chance() -> f64 {
    f64::from(u32::try_from(random() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Another number in each process and at each call. It is no secret.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
