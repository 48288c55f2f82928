//! What the server stands on: the store and the clusters, as the configuration
//! names them.

use std::path::Path;

use anyhow::{Context, Result};
use remotegpu_cluster::{ClusterConnection, KubeClusters};
use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use remotegpu_namespaces::ClusterName;
use remotegpu_storage::{Database, DatabaseOptions};

use crate::config::{ClusterConfig, Config, DatabaseChoice};

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
        std::fs::read_to_string(path).with_context(|| {
            format!(
                "clusters: {}: {} cannot be read",
                cluster.name,
                path.display()
            )
        })
    };
    Ok(ClusterConnection {
        name: cluster.name.clone(),
        title: cluster.title.clone(),
        kubeconfig: read(&cluster.kubeconfig)?,
        context: cluster.context.clone(),
        public_server: cluster.server.clone(),
        public_ca_pem: cluster
            .certificate_authority
            .as_deref()
            .map(read)
            .transpose()?,
    })
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
    let connection = remotegpu_cluster::control_plane_connection(
        ClusterName::parse("dev")?,
        "Development cluster".to_owned(),
        &admin,
    )
    .await
    .context("the development cluster could not be prepared")?;
    Ok((cluster, connection))
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
