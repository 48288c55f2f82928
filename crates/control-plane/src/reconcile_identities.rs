//! Cluster identities that have ended are ended in the cluster (contract X9,
//! X10).

use futures_util::{StreamExt, future, stream};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialIdentity, CredentialMint,
    IdentityRepository,
};
use remotegpu_primitives::{Clock, IdentityId, StoreError};
use time::{Duration, OffsetDateTime};

/// How many are claimed at once, and how many of these are worked on at once.
const BATCH: u32 = 64;
const AT_ONCE: usize = 16;
/// For how long a claim keeps others away.
const CLAIM: Duration = Duration::seconds(10);
/// When an end that failed is tried again, and how late at the most one that the
/// cluster refuses.
const RETRY: Duration = Duration::SECOND;
const RETRY_LATEST: Duration = Duration::seconds(30);

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
/// answers again, the next round takes them all. Of a cluster that is not in the
/// configuration nothing is claimed: another instance may know it already, or still.
pub async fn reconcile_identities(
    ports: IdentityPorts<'_>,
    cluster: &ClusterName,
    clock: &dyn Clock,
) -> Result<usize, StoreError> {
    if ports.clusters.find(cluster).is_none() {
        tracing::warn!(
            %cluster,
            "cluster identities that have ended are in a cluster that is not configured, and \
             cannot be ended there"
        );
        return Ok(0);
    }
    // Contract R9. Whoever acts there ends them.
    if !ports.clusters.claim(cluster).may_act() {
        return Ok(0);
    }
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
    let failures: Vec<(IdentityId, EndError)> = stream::iter(claimed)
        .map(|identity| async move {
            let error = end(ports, &identity, clock).await.err()?;
            let now = clock.now();
            let retry_at = now + pause(&identity, &error, now);
            // Without this the claim's own end brings it back.
            let _ = ports.identities.postpone(identity.id, retry_at).await;
            Some((identity.id, error))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(future::ready)
        .collect()
        .await;
    // One for all: what stands in the way of one stands in the way of most.
    if let Some((identity, error)) = failures.first() {
        tracing::warn!(
            %cluster,
            identities = failures.len(),
            %identity,
            error = error as &dyn std::error::Error,
            "cluster identities could not be ended yet; the first of them says why"
        );
    }
    Ok(count)
}

/// A cluster that is away is tried again soon: what has ended must end there as soon
/// as it is back. One that refuses needs somebody to change its mind: each pause is
/// half of the time that the end has been due, so that no counter is needed.
fn pause(identity: &CredentialIdentity, error: &EndError, now: OffsetDateTime) -> Duration {
    let EndError::Cluster(ClusterError::Refused { .. }) = error else {
        return RETRY;
    };
    let due: Duration = identity.ends_at.map_or(RETRY, |ended| (now - ended) / 2);
    due.clamp(RETRY, RETRY_LATEST)
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
