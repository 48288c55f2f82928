//! Certificates, keys and kubeconfigs that change while the server runs: who renews them
//! restarts nothing.
//!
//! They are looked at again and again, because a change may come by a symbolic link that
//! leads elsewhere, as those of mounted secrets do, and no notice tells that everywhere.

use std::{path::PathBuf, sync::Arc, time::Duration};

use remotegpu_cluster::{ClusterConnection, KubeClusters, Reopened};

use crate::{
    config::{ClusterConfig, Config},
    dependencies::cluster_connection,
    tls::OwnCertificate,
};

/// How often the files are looked at. A change counts once it was seen twice, so that
/// none is taken of which a half is still being written.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// All files that are followed.
pub struct FollowedFiles {
    certificates: Vec<Followed>,
    clusters: Vec<(ClusterConfig, Followed)>,
}

impl FollowedFiles {
    /// What they hold now: before anybody reads them, so that no change is missed.
    pub fn look(config: &Config) -> Self {
        let webhook = config.webhook.as_ref().map(|webhook| &webhook.tls);
        let certificates = config.tls.iter().chain(webhook);
        let certificates =
            certificates.map(|files| contents(&[files.cert.clone(), files.key.clone()]));
        let clusters = config.clusters.iter();
        let clusters = clusters.map(|cluster| (cluster.clone(), Followed::new(seen_of(cluster))));
        Self {
            certificates: certificates.map(Followed::new).collect(),
            clusters: clusters.collect(),
        }
    }

    /// Follows them, for ever; `own` are the certificates of the configuration, the API's
    /// before that for clusters.
    pub async fn follow(mut self, clusters: KubeClusters, own: Vec<Arc<OwnCertificate>>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for (own, followed) in own.iter().zip(&mut self.certificates) {
                follow_certificate(own, followed).await;
            }
            for (cluster, followed) in &mut self.clusters {
                follow_cluster(&clusters, cluster, followed).await;
            }
        }
    }
}

async fn follow_certificate(own: &Arc<OwnCertificate>, followed: &mut Followed) {
    let files = own.files().clone();
    let seen = blocking(move || contents(&[files.cert, files.key])).await;
    if !seen.is_some_and(|seen| followed.has_changed(seen)) {
        return;
    }
    match own.read_again() {
        Ok(()) => tracing::info!("another certificate is shown from now on"),
        Err(error) => tracing::warn!(
            error = &*error as &dyn std::error::Error,
            "the certificate or its key has changed and is no pair; the one of before goes on"
        ),
    }
}

async fn follow_cluster(clusters: &KubeClusters, cluster: &ClusterConfig, followed: &mut Followed) {
    let name = &cluster.name;
    let read = cluster.clone();
    let seen = blocking(move || seen_of(&read)).await;
    if !seen.is_some_and(|seen| followed.has_changed(seen)) {
        return;
    }
    let told = match cluster_connection(cluster) {
        Ok(connection) => clusters.reopen(connection).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    match told {
        Ok(Reopened::Taken) => {
            tracing::info!(cluster = %name, "the cluster is asked with its changed files from now on");
        }
        Ok(Reopened::NeedsRestart) => tracing::warn!(
            cluster = %name,
            "the cluster's kubeconfig names another server or another kind of credential, \
             which counts from the next start on: it may be another cluster"
        ),
        Err(error) => tracing::warn!(
            cluster = %name,
            error = &*error as &dyn std::error::Error,
            "the cluster's files have changed and cannot be used; those of before go on"
        ),
    }
}

/// What a file held, or nothing where it could not be read.
type Contents = Vec<Option<Vec<u8>>>;

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}

/// The kubeconfig and what it names.
fn seen_of(cluster: &ClusterConfig) -> Contents {
    let Ok(connection) = cluster_connection(cluster) else {
        return Vec::new();
    };
    let files = ClusterConnection::files(&connection);
    let mut seen = contents(&files);
    seen.push(Some(connection.kubeconfig.into_bytes()));
    seen.push(connection.public_ca_pem.map(String::into_bytes));
    seen
}

/// Files may lie where reading them takes its time.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(read).await.ok()
}

/// What was seen of some files.
struct Followed {
    /// What counts, or was told to be of no use.
    settled: Contents,
    latest: Contents,
}

impl Followed {
    fn new(seen: Contents) -> Self {
        Self {
            settled: seen.clone(),
            latest: seen,
        }
    }

    /// Whether there is something new that has come to rest. Each is told once.
    fn has_changed(&mut self, seen: Contents) -> bool {
        let rests = seen == self.latest;
        self.latest = seen;
        if !rests || self.latest == self.settled {
            return false;
        }
        self.settled.clone_from(&self.latest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_and_when_it_rests() {
        let seen = |text: &str| vec![Some(text.as_bytes().to_vec())];
        let mut followed = Followed::new(seen("a"));
        let told = ["a", "b", "c", "c", "c", "a", "a", "a", "d", "a"];
        let told = told.map(|text| followed.has_changed(seen(text)));
        let (no, yes) = (false, true);
        assert_eq!(told, [no, no, no, yes, no, no, yes, no, no, no]);
    }
}
