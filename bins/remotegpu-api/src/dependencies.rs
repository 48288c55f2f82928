//! What the server stands on: the store and the clusters, as the configuration
//! names them.

use std::path::Path;

use anyhow::{Context, Result};
use remotegpu_cluster::{ClusterConnection, KubeClusters, in_cluster_kubeconfig};
use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use remotegpu_namespaces::ClusterName;
use remotegpu_storage::{Database, DatabaseOptions};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    config::{ClusterConfig, ClusterSource, Config, DatabaseChoice},
    text_files::read_text,
};

/// Opens the store, without touching what is in it.
pub async fn connect_database(config: &Config) -> Result<Database> {
    if config.database == DatabaseChoice::Embedded {
        crate::data_dir::create(&config.data_dir)?;
    }
    let options = DatabaseOptions {
        max_connections: config.limits.database_connections,
        acquire_timeout: config.limits.database_acquire,
        statement_timeout: config.limits.database_statement,
    };
    Database::connect(&config.database_url(), options)
        .await
        .context("database_url")
}

/// What a cluster's configuration says, its files read.
pub fn cluster_connection(cluster: &ClusterConfig) -> Result<ClusterConnection> {
    let read = |path: &Path| {
        read_text(path).with_context(|| {
            format!(
                "clusters: {}: {} cannot be read",
                cluster.name,
                path.display()
            )
        })
    };
    let (kubeconfig, context) = match &cluster.source {
        ClusterSource::Kubeconfig { path, context } => (read(path)?, context.clone()),
        ClusterSource::InCluster {
            service_account_dir,
        } => {
            // Read for the sentence that says what is missing; the client reads them
            // again.
            read(&service_account_dir.join("token"))?;
            read(&service_account_dir.join("ca.crt"))?;
            let (host, port) = api_server_of_this_pod(&cluster.name)?;
            let kubeconfig = in_cluster_kubeconfig(&host, port, service_account_dir);
            (kubeconfig, None)
        }
    };
    Ok(ClusterConnection {
        name: cluster.name.clone(),
        title: cluster.title.clone(),
        kubeconfig,
        context,
        public_server: cluster.server.clone(),
        public_ca_pem: cluster
            .certificate_authority
            .as_deref()
            .map(|path| {
                let text = read(path)?;
                holds_certificates(&text).then_some(text).with_context(|| {
                    format!(
                        "clusters: {}: {} holds no readable certificate in PEM",
                        cluster.name,
                        path.display()
                    )
                })
            })
            .transpose()?,
    })
}

/// Whether customers could make something of it as a certificate authority.
fn holds_certificates(text: &str) -> bool {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    found.is_ok_and(|found| !found.is_empty())
}

/// Where Kubernetes tells a pod that its API server is. Asked for only where
/// `in_cluster` is configured (contract R2).
fn api_server_of_this_pod(cluster: &ClusterName) -> Result<(String, u16)> {
    let variable = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.with_context(|| {
            format!("clusters: {cluster}: {name} is not set, so that this is no pod of a cluster")
        })
    };
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT")?;
    let port = port.parse().with_context(|| {
        format!("clusters: {cluster}: KUBERNETES_SERVICE_PORT {port:?} is no port")
    })?;
    Ok((host, port))
}

/// The embedded development cluster, and how the control plane reaches it with
/// its least rights.
pub async fn start_dev_cluster(config: &Config) -> Result<(DevCluster, ClusterConnection)> {
    let folder = config.data_dir.join("dev-cluster");
    let dev_config = DevClusterConfig::new(config.dev_cluster_listen, folder);
    let cluster = DevCluster::start(dev_config, None)
        .await
        .context("dev_cluster_listen")?;
    let admin = cluster.admin_kubeconfig();
    remotegpu_cluster::apply_prerequisites(&admin)
        .await
        .context("the development cluster could not be prepared")?;
    let connection = dev_connection(&admin).await;
    let connection = connection.context("the development cluster could not be prepared")?;
    Ok((cluster, connection))
}

/// How the control plane reaches the embedded development cluster of a server that runs
/// with the same settings.
pub async fn running_dev_cluster(config: &Config) -> Result<ClusterConnection> {
    let folder = config.data_dir.join("dev-cluster");
    let dev_config = DevClusterConfig::new(config.dev_cluster_listen, folder);
    let admin = DevCluster::admin_kubeconfig_of(&dev_config)?;
    let connection = dev_connection(&admin).await;
    connection.context("the development cluster runs only while the server does; start it")
}

async fn dev_connection(admin: &str) -> Result<ClusterConnection> {
    let name = ClusterName::parse("dev")?;
    let title = "Development cluster".to_owned();
    Ok(remotegpu_cluster::control_plane_connection(name, title, admin).await?)
}

/// The clusters of the configuration. None of them needs to be up.
pub async fn connect_clusters(
    config: &Config,
    dev: Option<ClusterConnection>,
) -> Result<KubeClusters> {
    let configured: Result<Vec<ClusterConnection>> =
        config.clusters.iter().map(cluster_connection).collect();
    let connections = dev.into_iter().chain(configured?).collect();
    let clusters = KubeClusters::connect(connections).await;
    let clusters = clusters.context("clusters")?;
    Ok(clusters.with_tenant_baseline(&config.tenant_baseline))
}
