//! Cluster identities that have ended are ended in the cluster (contract X9,
//! X10).

use futures_util::{StreamExt, stream};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialIdentity, CredentialMint,
    IdentityRepository,
};
use remotegpu_primitives::{Clock, StoreError};
use time::Duration;

/// How many are claimed at once, and how many of these are worked on at once.
const BATCH: u32 = 64;
const AT_ONCE: usize = 16;
/// For how long a claim keeps others away.
const CLAIM: Duration = Duration::seconds(10);
/// When an end that failed is tried again.
const RETRY: Duration = Duration::SECOND;

/// What ending identities needs.
#[derive(Clone, Copy)]
pub struct IdentityPorts<'a> {
    /// Which identities have ended.
    pub identities: &'a dyn IdentityRepository,
    /// Which clusters answer.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where they are ended.
    pub mint: &'a dyn CredentialMint,
}

/// Ends what is due in one cluster, once. Answers how many identities were
/// claimed. Of a cluster that does not answer one is tried at a time: when it
/// answers again, the next round takes them all.
pub async fn reconcile_identities(
    ports: IdentityPorts<'_>,
    cluster: &ClusterName,
    clock: &dyn Clock,
) -> Result<usize, StoreError> {
    let now = clock.now();
    let batch = match ports.clusters.status(cluster) {
        ClusterStatus::Unavailable => 1,
        _ => BATCH,
    };
    let claimed = ports
        .identities
        .claim_ended(cluster, batch, now, now + CLAIM)
        .await?;
    let count = claimed.len();
    stream::iter(claimed)
        .for_each_concurrent(AT_ONCE, |identity| async move {
            if let Err(error) = end(ports, &identity, clock).await {
                tracing::warn!(
                    identity = %identity.id,
                    cluster = %identity.cluster,
                    error = &error as &dyn std::error::Error,
                    "a cluster identity could not be ended yet"
                );
                let retry_at = clock.now() + RETRY;
                // Without this the claim's own end brings it back.
                let _ = ports.identities.postpone(identity.id, retry_at).await;
            }
        })
        .await;
    Ok(count)
}

#[derive(Debug, thiserror::Error)]
enum EndError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn end(
    ports: IdentityPorts<'_>,
    identity: &CredentialIdentity,
    clock: &dyn Clock,
) -> Result<(), EndError> {
    let located = ports.mint.locate(identity).await?;
    // Read once more after the objects were read: if another instance has done
    // this work meanwhile, the row is gone, and nothing is touched.
    if !ports.identities.has_ended(identity.id, clock.now()).await? {
        return Ok(());
    }
    ports.mint.remove(&located).await?;
    ports.identities.remove(identity.id).await?;
    Ok(())
}
