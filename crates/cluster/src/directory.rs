//! All configured clusters.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use remotegpu_namespaces::{Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus};

use crate::{
    TenantBaseline,
    baseline_objects::Baseline,
    cluster::{KubeCluster, VERSION},
    connection::{ClusterConnection, ConnectError},
    foreign_text::fit,
    request::{Ask, Fault},
};

/// How much of what a cluster says is its version is passed on.
const LONGEST_VERSION: usize = 64;
/// How soon at the most a cluster that is watched is looked at again.
const LOOK_SOONEST: Duration = Duration::from_millis(500);

/// The configured clusters, in the order of the configuration. Clones share
/// connections and what is known of the clusters.
#[derive(Clone)]
pub struct KubeClusters {
    clusters: Arc<[KubeCluster]>,
    pub(crate) baseline: Arc<Baseline>,
}

/// What came of a cluster's changed configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopened {
    /// It counts from now on.
    Taken,
    /// It names another server, or another kind of credential: the one of before counts
    /// until a restart.
    NeedsRestart,
}

impl KubeClusters {
    /// Reads what is needed to ask the clusters. None of them needs to be up: nothing
    /// is asked yet.
    pub async fn connect(connections: Vec<ClusterConnection>) -> Result<Self, ConnectError> {
        let mut names = HashSet::new();
        let mut clusters = Vec::with_capacity(connections.len());
        for connection in connections {
            if !names.insert(connection.name.clone()) {
                let cluster = connection.name.to_string();
                return Err(ConnectError::Twice { cluster });
            }
            clusters.push(connection.open().await?);
        }
        Ok(Self {
            clusters: clusters.into(),
            baseline: Arc::new(Baseline::new(&TenantBaseline::default())),
        })
    }

    /// Takes what has changed in a cluster's configuration, its certificate authorities
    /// and the control plane's credential, without ending what is under way. A server
    /// that is another is not followed: it may be another cluster, with other
    /// namespaces. What cannot be used changes nothing.
    pub async fn reopen(&self, connection: ClusterConnection) -> Result<Reopened, ConnectError> {
        let Some(cluster) = self.look_up(&connection.name) else {
            return Ok(Reopened::NeedsRestart);
        };
        let other = connection.open().await?;
        if cluster.replace(&other).await {
            Ok(Reopened::Taken)
        } else {
            Ok(Reopened::NeedsRestart)
        }
    }

    /// Has every namespace hold this baseline instead of the default one, those
    /// that stand already too.
    #[must_use]
    pub fn with_tenant_baseline(self, baseline: &TenantBaseline) -> Self {
        Self {
            baseline: Arc::new(Baseline::new(baseline)),
            ..self
        }
    }

    /// Probes a cluster, and asks it for its version, such as `v1.33.1`, if it is up.
    /// What it says of its version does not decide whether it is (contract R10).
    pub async fn probe(&self, name: &ClusterName) -> Result<String, ClusterError> {
        let cluster = self.cluster(name)?;
        cluster.look().await?;
        cluster
            .bounded(async {
                let answer = cluster.ask(&Ask::get(VERSION.to_owned())).await?;
                let told = answer.object("asking for the version")?;
                let version = told["gitVersion"].as_str().ok_or(Fault::NotInKind)?;
                let version = fit(version, LONGEST_VERSION);
                cluster.remember_version(&version);
                Ok(version)
            })
            .await
    }

    /// Has every runtime that has asked a cluster keep a connection to it, so that
    /// the next mint finds one. API servers close what was silent for 90 seconds.
    pub async fn keep_warm(&self) {
        join_all(self.clusters.iter().map(KubeCluster::keep_warm)).await;
    }

    /// Probes a cluster again and again, so that it is known to be up or down although
    /// nobody asks anything of it: every five seconds, and sooner when it went down a
    /// moment ago.
    pub async fn watch(&self, name: &ClusterName) {
        loop {
            if let Err(error) = self.probe(name).await {
                tracing::warn!(
                    cluster = %name,
                    error = &error as &dyn std::error::Error,
                    "a cluster does not answer"
                );
            }
            let pause = self.look_up(name).map(KubeCluster::next_look);
            tokio::time::sleep(pause.unwrap_or_default().max(LOOK_SOONEST)).await;
        }
    }

    pub(crate) fn cluster(&self, name: &ClusterName) -> Result<&KubeCluster, ClusterError> {
        self.look_up(name)
            .ok_or_else(|| ClusterError::NotConfigured(name.clone()))
    }

    fn look_up(&self, name: &ClusterName) -> Option<&KubeCluster> {
        self.clusters
            .iter()
            .find(|cluster| cluster.known().name == *name)
    }
}

#[async_trait]
impl ClusterDirectory for KubeClusters {
    fn list(&self) -> Vec<Cluster> {
        let clusters = self.clusters.iter();
        let known = clusters.map(KubeCluster::known);
        known.map(|known| Cluster::clone(&known)).collect()
    }

    fn find(&self, name: &ClusterName) -> Option<Cluster> {
        let cluster = self.look_up(name)?;
        Some(Cluster::clone(&cluster.known()))
    }

    fn status(&self, name: &ClusterName) -> ClusterStatus {
        self.look_up(name)
            .map_or(ClusterStatus::Unknown, KubeCluster::status)
    }

    fn is_given_up(&self, name: &ClusterName) -> bool {
        self.look_up(name).is_some_and(KubeCluster::is_down)
    }
}
