//! Cluster identities that have ended are ended in the cluster (contract X9,
//! X10).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, CredentialIdentity, CredentialMint, DueWork,
    IdentityRepository, KubernetesNamespaceName, Tried,
};
use remotegpu_primitives::{Clock, IdentityId, StoreError};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::{
    ReconcilerPorts, WorkCounts, WorkOutcome,
    machinery::work::{Backoff, KeyState, Work},
};

/// How often the store is asked for what other instances, the operator or the
/// clock have ended: well within the second that contract X9 gives.
const POLL: std::time::Duration = std::time::Duration::from_millis(250);
/// How many identities of a cluster are ended at the same time that have just ended, and
/// how many that could not be ended before.
const PLACES: usize = 16;
const PLACES_AGAIN: usize = 8;
/// How often it is told at the most which identities cannot be ended.
const TELL_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// For how long a claim keeps others away: longer than an end may take.
const CLAIM: Duration = Duration::seconds(10);
/// When an end that failed by itself is tried again.
const RETRY: Backoff = Backoff {
    soonest: Duration::SECOND,
    latest: Duration::seconds(30),
};

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
    pub(crate) fn is_powerless(&self) -> bool {
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
    let cluster = &due.key;
    if ports.clusters.find(cluster).is_none() {
        tracing::warn!(
            %cluster,
            "cluster identities that have ended are in a cluster that is not configured, and \
             cannot be ended there"
        );
        return Ok(Vec::new());
    }
    // Contract R9. Whoever acts there ends them.
    if !ports.clusters.claim(cluster).may_act() {
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
/// as it is back. What fails by itself needs somebody to mend it.
fn pause(identity: &CredentialIdentity, error: &EndIdentityError, now: OffsetDateTime) -> Duration {
    match error {
        EndIdentityError::Store(_) | EndIdentityError::Cluster(ClusterError::Unavailable(_)) => {
            RETRY.soonest
        }
        EndIdentityError::Cluster(_) => RETRY.pause(identity.ends_at.unwrap_or(now), now),
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

/// What could not be ended of late, by namespace: how many identities, and why the first.
type Failures =
    BTreeMap<(ClusterName, KubernetesNamespaceName), (usize, IdentityId, EndIdentityError)>;

/// Ends of identities as a kind of work.
pub(crate) struct EndIdentities {
    ports: ReconcilerPorts,
    failures: Mutex<(Option<Instant>, Failures)>,
}

impl EndIdentities {
    pub(crate) fn new(ports: ReconcilerPorts) -> Self {
        Self {
            ports,
            failures: Mutex::default(),
        }
    }

    fn ports(&self) -> IdentityPorts<'_> {
        IdentityPorts {
            identities: &*self.ports.identities,
            clusters: &*self.ports.clusters,
            mint: &*self.ports.mint,
        }
    }

    fn failures(&self) -> MutexGuard<'_, (Option<Instant>, Failures)> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, identity: &CredentialIdentity, error: EndIdentityError) {
        let place = (
            identity.cluster.clone(),
            identity.kubernetes_namespace.clone(),
        );
        let mut failures = self.failures();
        let entry = failures.1.entry(place);
        entry.or_insert((0, identity.id, error)).0 += 1;
    }

    /// One warning for a namespace: what stands in the way of one identity there stands
    /// in the way of most.
    fn tell_failures(&self) {
        let failures = {
            let (told, failures) = &mut *self.failures();
            if failures.is_empty() || told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
                return;
            }
            *told = Some(Instant::now());
            std::mem::take(failures)
        };
        for ((cluster, kubernetes_namespace), (identities, identity, error)) in failures {
            tracing::warn!(
                %cluster,
                %kubernetes_namespace,
                identities,
                %identity,
                powerless = error.is_powerless(),
                error = &error as &dyn std::error::Error,
                "cluster identities could not be ended yet; the first of them says why"
            );
        }
    }
}

#[async_trait]
impl Work<ClusterName> for EndIdentities {
    type Piece = CredentialIdentity;

    fn places(&self, tried: Tried) -> usize {
        match tried {
            Tried::Never => PLACES,
            Tried::Before => PLACES_AGAIN,
        }
    }

    fn state_of(&self, cluster: &ClusterName) -> KeyState {
        KeyState::of_cluster(&*self.ports.clusters, cluster)
    }

    fn counts(&self) -> &WorkCounts {
        &self.ports.counts.ends
    }

    async fn due(&self) -> Result<Vec<DueWork>, StoreError> {
        self.tell_failures();
        let now = self.ports.clock.now();
        self.ports.identities.due_ends(now).await
    }

    async fn claim(&self, due: &DueWork, limit: u32) -> Result<Vec<Self::Piece>, StoreError> {
        claim_ended_identities(self.ports(), due, limit, self.ports.clock.now()).await
    }

    async fn act(&self, identity: Self::Piece) -> WorkOutcome {
        match end_identity(self.ports(), &identity, &*self.ports.clock).await {
            Ok(()) => WorkOutcome::Done,
            Err(error) => {
                self.note(&identity, error);
                WorkOutcome::Failed
            }
        }
    }

    fn rest(&self) {
        // A namespace may have waited for these.
        self.ports.signals.wake_namespaces();
    }

    async fn wait(&self) {
        self.ports.signals.identities_within(POLL).await;
    }
}
