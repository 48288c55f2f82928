//! `/v1/account/access-tokens`

mod create;
mod kubeconfig;
mod manage;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, Backend, Person, Server, ServerOptions, foreign_cluster};

const PATH: &str = "/v1/account/access-tokens";

fn token_path(id: &Value) -> String {
    format!("{PATH}/{}", id.as_str().unwrap())
}

/// A token for these clusters, for an hour.
async fn create(person: &Person, name: &str, clusters: &[&str]) -> Answer {
    let body = json!({"name": name, "clusters": clusters, "expires_in_seconds": 3600});
    person.post(PATH, body).await
}

/// A server with the clusters `fra1` and `ams2`. What stands behind them is one cluster: here
/// they are names.
struct TwoClusters {
    server: Server,
    _cluster: remotegpu_dev_cluster::DevCluster,
    _folder: TempDir,
}

impl TwoClusters {
    async fn start(settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, kubeconfig) = foreign_cluster(folder.path()).await;
        let kubeconfig = kubeconfig.display();
        let clusters = format!("fra1={kubeconfig},ams2={kubeconfig}");
        let mut options = ServerOptions::new(Backend::Sqlite).with("clusters", clusters);
        for (flag, value) in settings {
            options = options.with(flag, *value);
        }
        Self {
            server: Server::start_with(options).await,
            _cluster: cluster,
            _folder: folder,
        }
    }
}
