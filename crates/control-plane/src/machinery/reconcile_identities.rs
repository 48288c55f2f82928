//! Cluster identities that have ended are ended in the cluster (contract X9,
//! X10).

use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, CredentialIdentity, CredentialMint, DueWork, IdentityRepository,
};
use remotegpu_primitives::{Clock, StoreError};
use time::{Duration, OffsetDateTime};

/// For how long a claim keeps others away: longer than an end may take.
const CLAIM: Duration = Duration::seconds(10);
/// When an end that failed is tried again, and how late at the most one that fails by
/// itself.
const RETRY: Duration = Duration::SECOND;
const RETRY_LATEST: Duration = Duration::seconds(30);

/// What ending identities needs.
#[derive(Clone, Copy)]
pub struct IdentityPorts<'a> {
    /// Which identities have ended.
    pub identities: &'a dyn IdentityRepository,
    /// Which clusters there are.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where they are ended.
    pub mint: &'a dyn CredentialMint,
}

/// An identity could not be ended yet.
#[derive(Debug, thiserror::Error)]
pub enum EndIdentityError {
    /// The cluster did not do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EndIdentityError {
    /// Whether the identity opens nothing any more although something of it is left.
    pub fn is_powerless(&self) -> bool {
        matches!(self, Self::Cluster(ClusterError::BindingLeft(_)))
    }
}

/// Claims up to `limit` identities of this cluster that have ended; each is to be ended
/// at once. Of a cluster that is not in the configuration nothing is claimed: another
/// instance may know it already, or still.
pub async fn claim_ended_identities(
    ports: IdentityPorts<'_>,
    due: &DueWork,
    limit: u32,
    now: OffsetDateTime,
) -> Result<Vec<CredentialIdentity>, StoreError> {
    let cluster = &due.cluster;
    if ports.clusters.find(cluster).is_none() {
        tracing::warn!(
            %cluster,
            "cluster identities that have ended are in a cluster that is not configured, and \
             cannot be ended there"
        );
        return Ok(Vec::new());
    }
    // Contract R9. Whoever acts there ends them.
    if !ports.clusters.claim(&due.cluster).may_act() {
        return Ok(Vec::new());
    }
    let tried = Some(due.tried);
    let until = now + CLAIM;
    ports
        .identities
        .claim_ended(cluster, tried, limit, now, until)
        .await
}

/// Ends one identity that was claimed, or has it tried again later.
pub async fn end_identity(
    ports: IdentityPorts<'_>,
    identity: &CredentialIdentity,
    clock: &dyn Clock,
) -> Result<(), EndIdentityError> {
    let ended = end(ports, identity, clock).await;
    if let Err(error) = &ended {
        let now = clock.now();
        let retry_at = now + pause(identity, error, now);
        // Without this the claim's own end brings it back.
        let _ = ports.identities.postpone(identity.id, retry_at).await;
    }
    ended
}

/// A cluster that is down is tried again soon: what has ended must end there as soon
/// as it is back. What fails by itself needs somebody to mend it: each pause is half of
/// the time that the end has been due, so that no counter is needed.
fn pause(identity: &CredentialIdentity, error: &EndIdentityError, now: OffsetDateTime) -> Duration {
    match error {
        EndIdentityError::Store(_) | EndIdentityError::Cluster(ClusterError::Unavailable(_)) => {
            RETRY
        }
        EndIdentityError::Cluster(_) => {
            let due: Duration = identity.ends_at.map_or(RETRY, |ended| (now - ended) / 2);
            due.clamp(RETRY, RETRY_LATEST)
        }
    }
}

async fn end(
    ports: IdentityPorts<'_>,
    identity: &CredentialIdentity,
    clock: &dyn Clock,
) -> Result<(), EndIdentityError> {
    let located = ports.mint.locate(identity).await?;
    // Read once more after the objects were read: if another instance has done
    // this work meanwhile, the row is gone, and nothing is touched.
    if !ports.identities.has_ended(identity.id, clock.now()).await? {
        return Ok(());
    }
    let removed = ports.mint.remove(&located).await;
    if let Err(ClusterError::BindingLeft(_)) = &removed {
        let now = clock.now();
        ports.identities.mark_powerless(identity.id, now).await?;
    }
    removed?;
    ports.identities.remove(identity.id).await?;
    Ok(())
}
