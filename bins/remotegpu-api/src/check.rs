//! `remotegpu-api check`: reaches every dependency, and says what is wrong.

use std::process::ExitCode;

use anyhow::{Context, Result};
use remotegpu_cluster::KubeClusters;

use crate::{
    config::{ClusterConfig, Config, DatabaseChoice},
    dependencies, tls,
};

/// Checks what the configuration names, and changes nothing. Fails if anything
/// is wrong, after having looked at all of it.
pub async fn check(config: &Config) -> Result<ExitCode> {
    let mut whole = true;
    let mut tell = |what: String, result: Result<String>| match result {
        Ok(fine) => println!("ok     {what}: {fine}"),
        Err(error) => {
            whole = false;
            println!("wrong  {what}: {error:#}");
        }
    };
    if let Some(files) = &config.tls {
        let read = tls::server_config(files).map(|_| "the certificate and its key fit".to_owned());
        tell("TLS".to_owned(), read);
    }
    tell("database".to_owned(), database(config).await);
    for cluster in &config.clusters {
        tell(format!("cluster {}", cluster.name), reach(cluster).await);
    }
    if config.runs_dev_cluster() {
        tell(
            "cluster dev".to_owned(),
            Ok("the embedded development cluster starts with the server".to_owned()),
        );
    } else if config.clusters.is_empty() {
        tell(
            "clusters".to_owned(),
            Ok("none is configured, so that no namespaces can be made".to_owned()),
        );
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn database(config: &Config) -> Result<String> {
    if config.database == DatabaseChoice::Embedded && !config.data_dir.join("remotegpu.db").exists()
    {
        let folder = config.data_dir.display();
        return Ok(format!(
            "the first start makes a SQLite database in {folder}"
        ));
    }
    let database = dependencies::connect_database(config).await?;
    database.check().await?;
    Ok(format!(
        "{} answers, and its schema is this version's",
        database.kind()
    ))
}

async fn reach(cluster: &ClusterConfig) -> Result<String> {
    let connection = dependencies::cluster_connection(cluster)?;
    let clusters = KubeClusters::connect(vec![connection]).await?;
    let version = clusters
        .probe(&cluster.name)
        .await
        .context("it was asked for its version")?;
    Ok(format!("Kubernetes {version} answers"))
}
