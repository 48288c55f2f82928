//! Where clusters ask who a token is (contract T6).

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Result, bail};

use super::{TlsFiles, address, optional, path, tls_of};
use crate::{redaction::without_passwords, settings::Settings};

/// The listener of the clusters, and what they know of it.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    pub listen: SocketAddr,
    pub tls: TlsFiles,
    /// Where clusters reach it, where that is not the address it listens on.
    pub url: Option<String>,
    /// Whose certificates they believe, where that does not show in the certificate's own
    /// file.
    pub ca: Option<PathBuf>,
}

impl WebhookSettings {
    /// Where a cluster asks.
    pub fn url_for(&self, cluster: &str) -> Result<String> {
        let base = match &self.url {
            Some(url) => url.clone(),
            None if self.listen.ip().is_unspecified() => bail!(
                "webhook_url: it must be set where webhook_listen ({}) is every address of this \
                 machine",
                self.listen
            ),
            None => format!("https://{}", self.listen),
        };
        Ok(format!("{base}/webhooks/token-review/{cluster}"))
    }
}

const BESIDE: [&str; 4] = [
    "webhook_tls_cert",
    "webhook_tls_key",
    "webhook_url",
    "webhook_ca",
];

pub(super) fn read(settings: &Settings) -> Result<Option<WebhookSettings>> {
    let (tls, url) = (
        tls_of(settings, "webhook_tls_cert", "webhook_tls_key")?,
        optional(settings, "webhook_url", url)?,
    );
    if settings.get("webhook_listen").is_none() {
        if let Some(key) = BESIDE.iter().find(|key| settings.get(key).is_some()) {
            bail!("webhook_listen: it must be set where {key} is");
        }
        return Ok(None);
    }
    let listen = address(settings, "webhook_listen")?;
    let Some(tls) = tls else {
        bail!(
            "webhook_tls_cert: it must be set where webhook_listen is, because tokens travel over \
             it"
        );
    };
    let ca = path(settings, "webhook_ca");
    Ok(Some(WebhookSettings {
        listen,
        tls,
        url,
        ca,
    }))
}

/// Without a slash at its end.
fn url(text: &str) -> Result<String> {
    let shown = || without_passwords(text);
    let Ok(url) = url::Url::parse(text) else {
        bail!("{:?} is wrong; a URL is expected", shown());
    };
    if url.scheme() != "https" || url.host().is_none() {
        bail!(
            "{:?} is wrong; a URL that begins with https:// is expected",
            shown()
        );
    }
    let more = url.query().is_some() || url.fragment().is_some();
    if more || !url.username().is_empty() || url.password().is_some() {
        bail!(
            "{:?} is wrong; a host, a port and a path are expected",
            shown()
        );
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
