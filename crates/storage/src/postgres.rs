//! Connections to PostgreSQL, and what its URL may say.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use diesel_async::{
    AsyncPgConnection, SimpleAsyncConnection, pooled_connection::PoolableConnection,
};
use remotegpu_primitives::without_byte_order_mark;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{
    Config, NoTls,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    connection::Lease,
    error::{ConnectError, OpenError},
};

/// How long a transaction may lie idle before the server ends it: an instance
/// that vanished in the middle of one must not hold an account's row.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

/// How long what was sent may stay unacknowledged, before a connection counts as dead:
/// left to itself, the system waits a quarter of an hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Makes connections to one server.
#[derive(Clone)]
pub struct PgManager {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    connect_timeout: Duration,
    statement_timeout: Duration,
}

impl PgManager {
    /// Reads a URL of PostgreSQL's form. `sslmode` `disable`, `allow` and
    /// `prefer` mean no TLS, because they promise none. `require`, `verify-ca`
    /// and `verify-full` all mean TLS with a certificate that is checked,
    /// against `sslrootcert` or else the web's authorities.
    pub fn parse(
        url: &str,
        connect_timeout: Duration,
        statement_timeout: Duration,
    ) -> Result<Self, OpenError> {
        let (url, tls) = take_tls(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|_| OpenError::InvalidUrl("it is not of PostgreSQL's form"))?;
        config.connect_timeout(connect_timeout);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        let tls = match tls {
            Tls::Off => {
                config.ssl_mode(SslMode::Disable);
                None
            }
            Tls::On { roots } => {
                config.ssl_mode(SslMode::Require);
                Some(rustls_connector(roots)?)
            }
        };
        if config.get_application_name().is_none() {
            config.application_name("remotegpu-api");
        }
        Ok(Self {
            config,
            tls,
            connect_timeout,
            statement_timeout,
        })
    }

    /// Host and port, for messages.
    pub fn server(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate();
        let shown: Vec<String> = hosts
            .map(|(index, host)| {
                let port = ports.get(index).or_else(|| ports.first());
                let port = port.copied().unwrap_or(5432);
                match host {
                    Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
                    Host::Tcp(host) => format!("{host}:{port}"),
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        shown.join(",")
    }

    /// Where and as whom connections are made.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How connections are encrypted, if they are.
    pub fn tls(&self) -> Option<&MakeRustlsConnect> {
        self.tls.as_ref()
    }

    /// Makes a connection whose statements end after `statement_timeout`.
    pub async fn open(
        &self,
        statement_timeout: Duration,
    ) -> Result<AsyncPgConnection, ConnectError> {
        let opening = async {
            let mut connection = match &self.tls {
                None => {
                    let (client, driver) = self.config.connect(NoTls).await?;
                    AsyncPgConnection::try_from_client_and_connection(client, driver).await?
                }
                Some(tls) => {
                    let (client, driver) = self.config.connect(tls.clone()).await?;
                    AsyncPgConnection::try_from_client_and_connection(client, driver).await?
                }
            };
            let settings = format!(
                "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {};",
                statement_timeout.as_millis(),
                IDLE_IN_TRANSACTION.as_millis(),
            );
            connection.batch_execute(&settings).await?;
            Ok(connection)
        };
        // Over the whole of it: a server that accepts and then says nothing
        // would hold a place in the pool for ever.
        tokio::time::timeout(self.connect_timeout, opening)
            .await
            .unwrap_or(Err(ConnectError::TimedOut))
    }
}

impl bb8::ManageConnection for PgManager {
    type Connection = Lease<AsyncPgConnection>;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Self::Connection, ConnectError> {
        self.open(self.statement_timeout).await.map(Lease::new)
    }

    /// Looks whether the connection is known to be closed, without asking the
    /// server: asking would double the cost of the smallest query.
    async fn is_valid(&self, lease: &mut Self::Connection) -> Result<(), ConnectError> {
        if lease.peek().is_broken() {
            Err(ConnectError::Closed)
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, lease: &mut Self::Connection) -> bool {
        lease.is_in_use() || lease.peek().is_broken()
    }
}

enum Tls {
    Off,
    On { roots: Option<PathBuf> },
}

/// Takes the parameters of the URL that say something about TLS out of it: the
/// driver does not know all of them.
fn take_tls(url: &str) -> Result<(String, Tls), OpenError> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Tls::Off));
    };
    let mut wanted = false;
    let mut roots = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", "disable" | "allow" | "prefer")) => wanted = false,
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => wanted = true,
            Some(("sslmode", _)) => {
                return Err(OpenError::InvalidUrl(
                    "sslmode must be disable, allow, prefer, require, verify-ca or verify-full",
                ));
            }
            Some(("sslrootcert", path)) if path != "system" => roots = Some(PathBuf::from(path)),
            Some(("sslrootcert", _)) => roots = None,
            Some(("sslcert" | "sslkey" | "sslcrl", _)) => {
                return Err(OpenError::InvalidUrl(
                    "of the ssl parameters only sslmode and sslrootcert are known",
                ));
            }
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    let tls = if wanted { Tls::On { roots } } else { Tls::Off };
    Ok((url, tls))
}

fn rustls_connector(roots: Option<PathBuf>) -> Result<MakeRustlsConnect, OpenError> {
    let store = match roots {
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Some(path) => read_roots(&path)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| OpenError::InvalidUrl("TLS is not available"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read_roots(path: &Path) -> Result<RootCertStore, OpenError> {
    let wrong = |source| OpenError::RootCertificate {
        path: path.to_owned(),
        source,
    };
    let mut store = RootCertStore::empty();
    let read = std::fs::read(path).map_err(|error| wrong(Some(Box::new(error))))?;
    for certificate in CertificateDer::pem_slice_iter(without_byte_order_mark(&read)) {
        let certificate = certificate.map_err(|error| wrong(Some(Box::new(error))))?;
        store
            .add(certificate)
            .map_err(|error| wrong(Some(Box::new(error))))?;
    }
    if store.is_empty() {
        return Err(wrong(None));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn parse(url: &str) -> Result<PgManager, OpenError> {
        PgManager::parse(url, SECOND, SECOND)
    }

    #[test]
    fn tls_is_used_where_the_url_promises_it() {
        let check = |query: &str, tls: bool| {
            let manager = parse(&format!("postgres://u:p@db.example/x{query}")).unwrap();
            assert_eq!(manager.tls.is_some(), tls, "{query}");
            let mode = if tls {
                SslMode::Require
            } else {
                SslMode::Disable
            };
            assert_eq!(manager.config.get_ssl_mode(), mode, "{query}");
        };
        check("", false);
        check("?sslmode=disable", false);
        check("?sslmode=prefer", false);
        check("?sslmode=require", true);
        check("?application_name=x&sslmode=verify-full", true);
        check("?sslmode=verify-ca&sslrootcert=system", true);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_without_the_password() {
        for url in [
            "postgres://u:s3cret@db/x?sslmode=yes",
            "postgres://u:s3cret@db/x?sslmode=require&sslcert=a.pem",
            "postgres://u:s3cret@db/x?sslmode=require&sslrootcert=/nowhere.pem",
            "postgres://u:s3cret@db:port/x",
        ] {
            let error = parse(url).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_roots_is_none_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        let made = rcgen::generate_simple_self_signed(["db.example".to_owned()]).unwrap();
        std::fs::write(&roots, format!("\u{feff}{}", made.cert.pem())).unwrap();
        assert_eq!(read_roots(&roots).unwrap().len(), 1);
    }

    #[test]
    fn servers_are_shown_without_credentials() {
        let manager = parse("postgres://u:s3cret@db.example:6543/x").unwrap();
        assert_eq!(manager.server(), "db.example:6543");
        let six = parse("postgres://u:s3cret@[fd00::5]:6543/x").unwrap();
        assert_eq!(six.server(), "[fd00::5]:6543");
    }
}
