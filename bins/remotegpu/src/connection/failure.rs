//! Why no answer came, in words that say what to try. A library's own words help nobody, and
//! may hold an address with a password in it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use anyhow::{Error, anyhow};
use rustls::CertificateError as Certificate;
use ureq::{Agent, Timeout};

use super::{CONNECT_TIMEOUT, Connection};
use crate::proxy::Proxy;

/// How long it may take to find out whether it is the proxy that speaks TLS badly.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

impl Connection {
    pub(super) fn failure(&self, error: &ureq::Error, within: Duration) -> Error {
        let origin = &self.origin;
        if let ureq::Error::Timeout(which) = error {
            let within = match which {
                Timeout::Connect => CONNECT_TIMEOUT.min(within),
                _ => within,
            };
            let seconds = within.as_secs_f64().ceil();
            let through = self.through();
            return anyhow!("no answer from {origin} within {seconds} seconds{through}");
        }
        anyhow!("no answer from {origin}: {}", self.reason(error))
    }

    fn through(&self) -> String {
        let proxy = self.proxy.as_ref();
        proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"))
    }

    fn reason(&self, error: &ureq::Error) -> String {
        match (error, &self.proxy) {
            (ureq::Error::Io(error), _) => self.io_reason(error),
            (ureq::Error::Rustls(error), _) => self.tls_reason(error),
            (ureq::Error::HostNotFound, _) => self.unknown_name(),
            (ureq::Error::ConnectProxyFailed(words), Some(proxy)) => {
                // `proxy server responded 407/407`
                let status = words.rsplit('/').next().filter(|word| word.len() == 3);
                let status = status.unwrap_or("something that is no HTTP");
                format!("the proxy {proxy}, answered with {status}")
            }
            (ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..), _) => {
                "its answer is too long".to_owned()
            }
            (ureq::Error::Protocol(_) | ureq::Error::BodyStalled, _) => {
                format!(
                    "what came is no HTTP{}{}",
                    self.through(),
                    self.other_scheme("http:", "https://")
                )
            }
            _ => format!("it could not be asked{}", self.through()),
        }
    }

    fn unknown_name(&self) -> String {
        match &self.proxy {
            None => "its name is not known here; is the address right?".to_owned(),
            Some(proxy) => format!("the name of the proxy {proxy}, is not known here"),
        }
    }

    fn io_reason(&self, error: &io::Error) -> String {
        if let Some(error) = tls_error(error) {
            return self.tls_reason(error);
        }
        match (error.kind(), &self.proxy) {
            (ErrorKind::ConnectionRefused, None) => {
                "nothing listens there; is the server running, and the address right?".to_owned()
            }
            (ErrorKind::ConnectionRefused, Some(proxy)) => {
                format!("nothing listens where the proxy should be, {proxy}")
            }
            (
                ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe,
                _,
            ) => format!("the connection broke off{}", self.through()),
            // The standard library has no kind for it.
            _ if error.to_string().starts_with("failed to lookup") => self.unknown_name(),
            // The system's own words for what the network lacks.
            _ if error.raw_os_error().is_some() => format!("{error}{}", self.through()),
            _ => format!("it could not be asked{}", self.through()),
        }
    }

    fn tls_reason(&self, error: &rustls::Error) -> String {
        let proxy = self.proxy.as_ref().filter(|proxy| self.is_at_fault(proxy));
        let it = proxy.map_or_else(|| "it".to_owned(), |proxy| format!("the proxy {proxy},"));
        let its = |end: &str| match proxy {
            Some(proxy) => format!("the certificate of the proxy {proxy}{end}"),
            None => "its certificate".to_owned(),
        };
        let certificate = match error {
            rustls::Error::InvalidCertificate(certificate) => certificate,
            rustls::Error::InvalidMessage(_) if proxy.is_some() => {
                return format!("{it} speaks no TLS; try http:// for it");
            }
            rustls::Error::InvalidMessage(_) => {
                return format!(
                    "what came is no TLS{}{}",
                    self.through(),
                    self.other_scheme("https:", "http://")
                );
            }
            rustls::Error::AlertReceived(alert) => {
                return format!("{it} refused the TLS handshake ({alert:?})");
            }
            _ if proxy.is_some() => return format!("{it} fails at the TLS handshake"),
            _ => return "the TLS handshake failed".to_owned(),
        };
        match certificate {
            // Another authority of the same name has signed as little as one of another.
            Certificate::UnknownIssuer | Certificate::BadSignature => format!(
                "nobody who is trusted here has signed {}; {}",
                its(""),
                self.trust.advice()
            ),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                format!("{} is for another name; is the address right?", its(","))
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                format!("{} has expired; is this machine's clock right?", its(","))
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                format!(
                    "{} is not valid yet; is this machine's clock right?",
                    its(",")
                )
            }
            _ => format!("{} is not usable", its(",")),
        }
    }

    /// Whether TLS fails with the proxy already, and not only with the server behind it. A TLS
    /// error does not tell, so the proxy is asked alone.
    fn is_at_fault(&self, proxy: &Proxy) -> bool {
        let config = Agent::config_builder()
            .tls_config(self.agent.config().tls_config().clone())
            .proxy(None)
            .timeout_global(Some(PROBE_TIMEOUT));
        let asked = || config.build().new_agent().get(proxy.origin()).call();
        proxy.has_tls()
            && match asked() {
                Err(ureq::Error::Rustls(_)) => true,
                Err(ureq::Error::Io(error)) => tls_error(&error).is_some(),
                _ => false,
            }
    }

    fn other_scheme(&self, this: &str, other: &str) -> String {
        if self.origin.starts_with(this) {
            format!("; try {other}")
        } else {
            String::new()
        }
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
