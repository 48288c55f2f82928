#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_methods,
    reason = "This crate stands for a foreign server, whose clock is its own; the rest of the house is told the time."
)]

mod admission;
mod auth;
mod bootstrap;
mod cluster;
mod controllers;
mod defaults;
mod discovery;
mod error;
mod http;
mod identity;
mod intake;
mod journal;
mod kinds;
mod meta;
mod patch;
mod protobuf;
mod quota;
mod rbac;
mod request;
mod reviews;
mod scale;
mod selector;
mod store;
mod table;
mod token;
mod watching;
mod workloads;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, PayloadConfig, to};
use actix_web::{App, HttpServer};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
pub use crate::error::DevClusterError;
use crate::identity::Identity;
use crate::store::Store;

/// A hook that is asked about each pod that is created or changed: an `AdmissionReview` with a
/// request goes in, one with a response comes out. It runs in the place of a mutating webhook, and
/// for pods in every namespace.
pub type PodAdmission = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// A hook that is asked who a bearer token is that the cluster itself does not know: a `TokenReview` goes
/// in, one with a status comes out. It stands where a token review webhook does.
pub type TokenAuthentication = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync>;

/// As much as Kubernetes takes in one request.
const LARGEST_BODY: usize = 3 * 1024 * 1024;
const WORKERS: usize = 2;
/// How long a stop waits for requests under way, in seconds.
const STOP_WITHIN: u64 = 2;

/// Where the development cluster listens and what folder it keeps.
#[derive(Clone, Debug)]
pub struct DevClusterConfig {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder of the objects, the CA and the keys; it is made if it is missing.
    pub data_dir: PathBuf,
}

impl DevClusterConfig {
    /// A configuration from its two parts.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self { listen, data_dir: data_dir.into() }
    }
}

/// A running development cluster. Dropping it lets it run on; [`DevCluster::stop`] ends it.
pub struct DevCluster {
    address: SocketAddr,
    cluster: Arc<Cluster>,
    server: ServerHandle,
    tasks: [JoinHandle<()>; 2],
}

impl DevCluster {
    /// Starts the server inside the running tokio runtime, which has to have several threads.
    ///
    /// # Errors
    /// One sentence that says why it cannot start: the port is taken, the folder cannot be used, is
    /// in use or holds something else.
    pub async fn start(config: DevClusterConfig, pod_admission: Option<PodAdmission>) -> Result<Self, DevClusterError> {
        let DevClusterConfig { listen, data_dir } = config;
        let listener = TcpListener::bind(listen).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => DevClusterError::PortOccupied(listen),
            _ => DevClusterError::Listen(listen, error),
        })?;
        let failed = |error| DevClusterError::Listen(listen, error);
        let address = listener.local_addr().map_err(failed)?;
        let opening = tokio::task::spawn_blocking(move || open(data_dir, here(address).ip(), pod_admission)).await;
        let (cluster, tls) = opening.map_err(|error| failed(std::io::Error::other(error)))??;
        let data = Data::from(Arc::clone(&cluster));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(PayloadConfig::new(LARGEST_BODY))
                .app_data(data.clone())
                .default_service(to(http::handle))
        })
        .workers(WORKERS)
        .shutdown_timeout(STOP_WITHIN)
        .disable_signals()
        .listen_rustls_0_23(listener, tls)
        .map_err(failed)?
        .run();
        let handle = server.handle();
        let serve = async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the development cluster's server ended");
            }
        };
        let tasks = [tokio::spawn(serve), tokio::spawn(controllers::run(Arc::clone(&cluster)))];
        tracing::info!(%address, "the development cluster is up");
        Ok(Self { address, cluster, server: handle, tasks })
    }

    /// Has this hook be asked from now on. The first one stays.
    pub fn ask_about_tokens(&self, hook: TokenAuthentication) {
        drop(self.cluster.token_authentication.set(hook));
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients on this machine.
    pub fn server_url(&self) -> String {
        format!("https://{}", here(self.address))
    }

    /// The certificate that clients have to trust, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.cluster.identity.ca_pem
    }

    /// A kubeconfig, as YAML, for the administrator, a member of `system:masters`. It holds a secret.
    pub fn admin_kubeconfig(&self) -> String {
        identity::kubeconfig(&self.server_url(), self.ca_pem(), &self.cluster.identity.admin_token)
    }

    /// The same of the cluster that another process runs in the configuration's folder.
    pub fn admin_kubeconfig_of(config: &DevClusterConfig) -> Result<String, DevClusterError> {
        let here = here(config.listen);
        let identity = Identity::open(&config.data_dir, here.ip())?;
        let url = format!("https://{here}");
        Ok(identity::kubeconfig(&url, &identity.ca_pem, &identity.admin_token))
    }

    /// Ends watches, lets requests under way finish and frees the port and the folder.
    pub async fn stop(self) {
        let Self { cluster, server, tasks, .. } = self;
        cluster.stopping.send_replace(true);
        server.stop(true).await;
        for task in tasks {
            // A task that has panicked has ended, too.
            drop(task.await);
        }
        // The server's threads let go of the cluster a little later than the server says it has ended.
        cluster.store.close();
    }
}

/// Where clients on this machine reach what listens there.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Reads the folder, or fills a new one.
fn open(
    folder: PathBuf,
    address: IpAddr,
    admission: Option<PodAdmission>,
) -> Result<(Arc<Cluster>, rustls::ServerConfig), DevClusterError> {
    make_folder(&folder)?;
    let store = Store::open(&folder)?;
    let identity = Identity::open(&folder, address)?;
    let tls = identity.tls()?;
    let (token_authentication, stopping) = (OnceLock::new(), watch::Sender::new(false));
    let cluster = Cluster { store, identity, admission, token_authentication, stopping };
    bootstrap::run(&cluster)
        .map_err(|error| DevClusterError::Folder(folder, std::io::Error::other(error.message().to_owned())))?;
    Ok((Arc::new(cluster), tls))
}

/// Makes the folder, for its owner's eyes only.
fn make_folder(folder: &Path) -> Result<(), DevClusterError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| DevClusterError::Folder(folder.to_owned(), error))
}
