//! The configuration with its types. A wrong value is one sentence that names it
//! (contract R3).

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

mod access_tokens;
mod clusters;
mod limits;
mod webhook;

pub use clusters::{ClusterConfig, ClusterSource, default_audiences};
pub use limits::Limits;
pub use webhook::WebhookSettings;

use anyhow::{Context, Result, anyhow, bail};
use remotegpu_accounts::{Email, SessionPolicy};
use remotegpu_cluster::TenantBaseline;
use remotegpu_control_plane::AccessTokenRules;
use remotegpu_edge::{ExtraHost, PublicUrl};
use remotegpu_namespaces::TokenLifetime;
use remotegpu_primitives::is_unfit_in_a_name;
use time::Duration;

use crate::{redaction::without_passwords, settings::Settings, tenant_baseline};

/// What stands on the pages.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    pub notice: Option<String>,
    pub support_url: Option<String>,
}

/// What the server is told to be.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub internal_listen: SocketAddr,
    pub public_url: Option<PublicUrl>,
    pub extra_hosts: Vec<ExtraHost>,
    pub tls: Option<TlsFiles>,
    /// Absent where no cluster asks.
    pub webhook: Option<WebhookSettings>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub max_connections: MaxConnections,
    pub keep_alive: std::time::Duration,
    pub database: DatabaseChoice,
    pub schema_at_start: SchemaAtStart,
    pub data_dir: PathBuf,
    pub dev_cluster_listen: SocketAddr,
    /// Whether the development cluster was asked for by name.
    pub dev_cluster_given: bool,
    pub clusters: Vec<ClusterConfig>,
    pub tenant_baseline: TenantBaseline,
    pub sign_up_open: bool,
    /// Absent where no pages are served.
    pub console: Option<ConsoleSettings>,
    pub key_limit: u32,
    pub kubeconfig_token_limit: u32,
    pub namespace_limit: u32,
    pub access_tokens: AccessTokenRules,
    pub service_user_limit: u32,
    pub service_user_token_limit: u32,
    pub invitation_limit: u32,
    pub keys: KeyMemory,
    pub session_policy: SessionPolicy,
    pub token_lifetime: TokenLifetime,
    pub sweep_every: std::time::Duration,
    pub audit_retention: Duration,
    pub dead_key_retention: Duration,
    pub limits: Limits,
    pub drain: std::time::Duration,
    pub log: tracing::level_filters::LevelFilter,
    pub log_json: bool,
    pub initial_admin_email: Email,
    pub initial_admin_password_file: Option<PathBuf>,
}

/// How many connections of clients there may be, and whether somebody has said so.
#[derive(Debug, Clone, Copy)]
pub struct MaxConnections {
    pub number: usize,
    pub given: bool,
}

/// What a start does where the database's schema is an older version's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaAtStart {
    /// It runs the migrations that are missing.
    BringUpToDate,
    /// It waits until somebody else has.
    WaitFor,
}

/// What an instance keeps in mind of API keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyMemory {
    /// How many; 0 asks the database every time.
    pub cache_size: usize,
    pub record_last_use: bool,
}

#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// The settings that name them.
    pub settings: [&'static str; 2],
}

#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// SQLite in the data directory.
    Embedded,
    /// PostgreSQL; the URL may hold a password.
    Url(String),
}

impl fmt::Debug for DatabaseChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("Embedded"),
            Self::Url(url) => f.debug_tuple("Url").field(&without_passwords(url)).finish(),
        }
    }
}

impl Config {
    pub fn read(settings: &Settings) -> Result<Self> {
        let config = Self {
            listen: address(settings, "listen")?,
            internal_listen: address(settings, "internal_listen")?,
            public_url: optional(settings, "public_url", |text| {
                PublicUrl::parse(text).map_err(|error| anyhow!(error))
            })?,
            extra_hosts: list(settings, "extra_hosts", host)?,
            tls: tls_of(settings, "tls_cert", "tls_key")?,
            webhook: webhook::read(settings)?,
            trusted_proxies: list(settings, "trusted_proxies", network)?,
            max_connections: MaxConnections {
                number: number(settings, "max_connections", 1..=1_000_000)? as usize,
                given: settings.is_given("max_connections"),
            },
            keep_alive: std::time::Duration::from_secs(
                number(settings, "keep_alive_seconds", 1..=3600)?.into(),
            ),
            database: database(settings)?,
            schema_at_start: match choice(settings, "migrate_at_start", ["true", "false"])? {
                "true" => SchemaAtStart::BringUpToDate,
                _ => SchemaAtStart::WaitFor,
            },
            data_dir: parse(settings, "data_dir", "a folder")?,
            dev_cluster_listen: address(settings, "dev_cluster_listen")?,
            dev_cluster_given: settings.is_given("dev_cluster_listen"),
            clusters: clusters::read(settings)?,
            tenant_baseline: tenant_baseline::read(&settings.baseline_table)?,
            sign_up_open: choice(settings, "sign_up", ["closed", "open"])? == "open",
            console: console(settings)?,
            key_limit: number(settings, "key_limit", 0..=1_000_000)?,
            kubeconfig_token_limit: number(settings, "kubeconfig_token_limit", 0..=1_000_000)?,
            namespace_limit: number(settings, "namespace_limit", 0..=1_000_000)?,
            access_tokens: access_tokens::read(settings)?,
            service_user_limit: number(settings, "service_user_limit", 0..=10_000)?,
            service_user_token_limit: number(settings, "service_user_token_limit", 0..=1_000)?,
            invitation_limit: number(settings, "invitation_limit", 0..=10_000)?,
            keys: KeyMemory {
                cache_size: number(settings, "key_cache_size", 0..=100_000_000)? as usize,
                record_last_use: choice(settings, "record_last_use", ["true", "false"])? == "true",
            },
            session_policy: SessionPolicy {
                idle: seconds(settings, "session_idle_seconds", 1..=31_536_000)?,
                total: seconds(settings, "session_total_seconds", 1..=31_536_000)?,
            },
            token_lifetime: optional(settings, "token_seconds", |text| {
                let seconds = text.parse().ok().and_then(TokenLifetime::from_seconds);
                seconds.context("a number from 600 to 3600 is expected")
            })?
            .unwrap_or_default(),
            sweep_every: std::time::Duration::from_secs(
                number(settings, "sweep_seconds", 1..=3600)?.into(),
            ),
            audit_retention: Duration::days(
                number(settings, "audit_retention_days", 1..=36_500)?.into(),
            ),
            dead_key_retention: Duration::days(
                number(settings, "dead_key_retention_days", 1..=36_500)?.into(),
            ),
            limits: Limits::read(settings)?,
            drain: std::time::Duration::from_secs(
                number(settings, "drain_seconds", 0..=600)?.into(),
            ),
            log: parse(settings, "log", "error, warn, info, debug or trace")?,
            log_json: choice(settings, "log_format", ["text", "json"])? == "json",
            initial_admin_email: optional(settings, "initial_admin_email", |text| {
                Email::parse(text).map_err(|error| anyhow!(error))
            })?
            .context("initial_admin_email: an e-mail address is expected")?,
            initial_admin_password_file: path(settings, "initial_admin_password_file"),
        };
        config.judge()?;
        Ok(config)
    }

    /// What is wrong with values that are right one by one.
    fn judge(&self) -> Result<()> {
        if self.public_url.is_none() && !self.listen.ip().is_loopback() {
            bail!(
                "public_url: it must be set where listen ({}) is not a loopback address, because \
                 kubeconfigs name it",
                self.listen
            );
        }
        if let Some(url) = &self.public_url {
            let encrypted = url.is_https();
            if !encrypted && !url.is_loopback() {
                bail!(
                    "public_url: {} must begin with https://, because sessions and keys travel \
                     over it; plain http is for loopback addresses alone",
                    url.as_str()
                );
            }
            if encrypted && self.tls.is_none() && self.trusted_proxies.is_empty() {
                bail!(
                    "public_url: {} begins with https://, but neither tls_cert and tls_key are set \
                     nor trusted_proxies, one of which ends the encryption",
                    url.as_str()
                );
            }
        }
        if self.dev_cluster_given {
            self.judge_dev_cluster()?;
        }
        Ok(())
    }

    fn judge_dev_cluster(&self) -> Result<()> {
        if self.database != DatabaseChoice::Embedded {
            bail!("dev_cluster_listen: the development cluster does not run beside PostgreSQL");
        }
        if !self.listen.ip().is_loopback() || !self.dev_cluster_listen.ip().is_loopback() {
            bail!(
                "dev_cluster_listen: the development cluster runs only where listen and \
                 dev_cluster_listen are loopback addresses"
            );
        }
        if !self.clusters.is_empty() {
            bail!("dev_cluster_listen: the development cluster does not run beside other clusters");
        }
        Ok(())
    }

    /// Whether the embedded development cluster runs (contract R1, R2).
    pub fn runs_dev_cluster(&self) -> bool {
        self.clusters.is_empty()
            && self.database == DatabaseChoice::Embedded
            && self.listen.ip().is_loopback()
            && self.dev_cluster_listen.ip().is_loopback()
    }

    /// The URL of the database, for [`remotegpu_storage::Database::connect`].
    pub fn database_url(&self) -> String {
        match &self.database {
            DatabaseChoice::Url(url) => url.clone(),
            DatabaseChoice::Embedded => {
                format!("sqlite:{}", self.data_dir.join("remotegpu.db").display())
            }
        }
    }
}

fn wrong(key: &str, text: &str, expected: &str) -> anyhow::Error {
    let shown = without_passwords(text);
    anyhow!("{key}: {shown:?} is wrong; {expected} is expected")
}

fn parse<T: FromStr>(settings: &Settings, key: &str, expected: &str) -> Result<T> {
    let found = settings
        .get(key)
        .with_context(|| format!("{key}: it must be set"))?;
    found
        .text
        .parse()
        .map_err(|_| wrong(key, &found.text, expected))
}

/// What is listened on. An IPv4 address in IPv6's form is the one that it holds.
fn address(settings: &Settings, key: &str) -> Result<SocketAddr> {
    let expected = "an address and a port, as 127.0.0.1:8080 or [::1]:8080,";
    let address: SocketAddr = parse(settings, key, expected)?;
    Ok(match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    })
}

fn optional<T>(
    settings: &Settings,
    key: &str,
    read: impl Fn(&str) -> Result<T>,
) -> Result<Option<T>> {
    let Some(found) = settings.get(key) else {
        return Ok(None);
    };
    let value = read(&found.text).map_err(|error| anyhow!("{key}: {error}"))?;
    Ok(Some(value))
}

fn list<T>(settings: &Settings, key: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let text = settings.get(key).map_or("", |found| found.text.as_str());
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| read(part).map_err(|error| anyhow!("{key}: {error}")))
        .collect()
}

fn number(settings: &Settings, key: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32> {
    let expected = format!("a number from {} to {}", range.start(), range.end());
    let value: u32 = parse(settings, key, &expected)?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(wrong(key, &value.to_string(), &expected))
    }
}

fn seconds(
    settings: &Settings,
    key: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Result<Duration> {
    Ok(Duration::seconds(number(settings, key, range)?.into()))
}

fn choice<const N: usize>(
    settings: &Settings,
    key: &str,
    words: [&'static str; N],
) -> Result<&'static str> {
    let text: String = parse(settings, key, "a word")?;
    let found = words.into_iter().find(|word| *word == text);
    found.ok_or_else(|| wrong(key, &text, &words.join(" or ")))
}

fn path(settings: &Settings, key: &str) -> Option<PathBuf> {
    settings.get(key).map(|found| PathBuf::from(&found.text))
}

fn network(text: &str) -> Result<ipnet::IpNet> {
    let single = text.parse().map(|address: IpAddr| address.into());
    text.parse().or(single).map_err(|_| {
        let shown = without_passwords(text);
        anyhow!("{shown:?} is wrong; a network such as 10.0.0.0/8 is expected")
    })
}

fn console(settings: &Settings) -> Result<Option<ConsoleSettings>> {
    let wanted = choice(settings, "console", ["true", "false"])? == "true";
    let console = ConsoleSettings {
        notice: optional(settings, "notice", notice)?,
        support_url: optional(settings, "support_url", support_url)?,
    };
    Ok(wanted.then_some(console))
}

fn notice(text: &str) -> Result<String> {
    if text.chars().any(is_unfit_in_a_name) || text.chars().count() > 500 {
        bail!("one line of at most 500 characters is expected");
    }
    Ok(text.to_owned())
}

/// What a page may link to: nothing that would run.
fn support_url(text: &str) -> Result<String> {
    let fits = text.starts_with("https://") || text.starts_with("mailto:");
    if !fits || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        bail!("an address that begins with https:// or mailto: is expected");
    }
    Ok(text.to_owned())
}

/// A host as a `Host` header may say it.
fn host(text: &str) -> Result<ExtraHost> {
    ExtraHost::parse(text).map_err(|expected| {
        let shown = without_passwords(text);
        anyhow!("{shown:?} is wrong; {expected}")
    })
}

/// The pair that these two settings name.
fn tls_of(settings: &Settings, cert: &'static str, key: &'static str) -> Result<Option<TlsFiles>> {
    match (path(settings, cert), path(settings, key)) {
        (None, None) => Ok(None),
        (Some(cert_file), Some(key_file)) => Ok(Some(TlsFiles {
            cert: cert_file,
            key: key_file,
            settings: [cert, key],
        })),
        (Some(_), None) => bail!("{key}: it must be set where {cert} is"),
        (None, Some(_)) => bail!("{cert}: it must be set where {key} is"),
    }
}

fn database(settings: &Settings) -> Result<DatabaseChoice> {
    let Some(found) = settings.get("database_url") else {
        return Ok(DatabaseChoice::Embedded);
    };
    let url = &found.text;
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(DatabaseChoice::Url(url.clone()))
    } else {
        // The value stays out of the sentence: it may hold a password.
        bail!("database_url: a URL that begins with postgres:// is expected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_prints_no_password() {
        for url in [
            "postgres://ada:canary@db/x",
            "postgres://ada@db/x?password=canary",
            "postgres://ada:canary@[db/x",
        ] {
            let printed = format!("{:?}", DatabaseChoice::Url(url.to_owned()));
            assert!(!printed.contains("canary"), "{printed}");
        }
        assert_eq!(format!("{:?}", DatabaseChoice::Embedded), "Embedded");
    }
}
