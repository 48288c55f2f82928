//! The clusters follow the store: namespaces are made and removed (contract N5).

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rand::{CryptoRng, RngExt};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, DueWork, IdentityRepository, Namespace,
    NamespaceProvisioner, NamespaceRepository, NamespaceStatus, Removal, Tried,
};
use remotegpu_primitives::{Clock, StoreError};
use time::{Duration, OffsetDateTime};

use crate::{
    ReconcilerPorts, Signals, WorkCounts, WorkOutcome,
    machinery::{
        repair_namespace::was_deleted,
        work::{Backoff, KeyState, Work},
    },
};

/// How often the store is asked for work on namespaces.
const POLL: std::time::Duration = std::time::Duration::from_millis(500);
/// How many namespaces of a cluster are worked on at the same time that are new, and how
/// many that were tried before.
const PLACES: usize = 8;
/// For how long a claim keeps others away: longer than a step may take.
const CLAIM: Duration = Duration::seconds(30);
/// When unfinished work is tried again; and when where the cluster fails at this one
/// namespace.
const RETRY: Backoff = Backoff {
    soonest: Duration::milliseconds(200),
    latest: Duration::seconds(5),
};
const RETRY_FAILED: Backoff = Backoff {
    latest: Duration::seconds(30),
    ..RETRY
};
/// When a namespace that was refused is tried again.
const RETRY_REFUSED: Duration = Duration::seconds(30);

/// What making and removing namespaces needs.
#[derive(Clone, Copy)]
pub struct NamespacePorts<'a> {
    /// What is to be done.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Which identities must go first.
    pub identities: &'a dyn IdentityRepository,
    /// In which clusters this database acts.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where it is done.
    pub provisioner: &'a dyn NamespaceProvisioner,
    /// Whom to tell.
    pub signals: &'a Signals,
}

/// Claims up to `limit` namespaces on which this cluster has work to do; a step of it is
/// to be done at once.
pub async fn claim_namespaces(
    ports: NamespacePorts<'_>,
    due: &DueWork,
    limit: u32,
    now: OffsetDateTime,
) -> Result<Vec<Namespace>, StoreError> {
    // Contract R9. Where this database does not act nothing is begun. (A cluster that is
    // not configured has no claim, and is told of below.)
    let is_configured = ports.clusters.find(&due.key).is_some();
    if is_configured && !ports.clusters.claim(&due.key).may_act() {
        return Ok(Vec::new());
    }
    let tried = Some(due.tried);
    let until = now + CLAIM;
    let claimed = ports.namespaces.claim(&due.key, tried, limit, now, until);
    claimed.await
}

/// Does what is due on one namespace that was claimed, or has it tried again later.
/// `jitter`, about 1, keeps namespaces that failed together from coming back together.
pub async fn settle_namespace(
    ports: NamespacePorts<'_>,
    namespace: &Namespace,
    jitter: f64,
    clock: &dyn Clock,
) -> WorkOutcome {
    let stepped = step(ports, namespace, jitter, clock).await;
    let outcome = stepped.unwrap_or_else(|error| {
        // The claim ends by itself, and the work is taken up again.
        tracing::warn!(
            namespace = %namespace.id,
            error = &error as &dyn std::error::Error,
            "work on a namespace could not be written down"
        );
        WorkOutcome::Failed
    });
    ports.signals.tell_done();
    outcome
}

async fn step(
    ports: NamespacePorts<'_>,
    namespace: &Namespace,
    jitter: f64,
    clock: &dyn Clock,
) -> Result<WorkOutcome, StoreError> {
    let done = match namespace.status.known() {
        Some(NamespaceStatus::Deleting) => remove(ports, namespace).await?,
        Some(_) => provision(ports, namespace).await,
        // A newer version's work (contract R6).
        None => return Ok(WorkOutcome::Later),
    };
    let now = clock.now();
    let backoff = match done {
        Step::Fails => RETRY_FAILED,
        _ => RETRY,
    };
    let retry_at = now + backoff.pause(namespace.updated_at, now) * jitter;
    let outcome = match done {
        Step::Provisioned | Step::Removed => WorkOutcome::Done,
        Step::Waits(_) => WorkOutcome::Later,
        Step::Fails | Step::Refused(_) => WorkOutcome::Failed,
    };
    match done {
        Step::Provisioned => {
            if !ports.namespaces.mark_active(namespace.id, now).await? {
                undo(ports, namespace).await?;
            }
        }
        Step::Removed => ports.namespaces.remove(namespace.id, now).await?,
        Step::Waits(message) => {
            ports
                .namespaces
                .postpone(namespace.id, message.as_deref(), retry_at, now)
                .await?;
        }
        Step::Fails => {
            ports
                .namespaces
                .postpone(namespace.id, Some(FAILS), retry_at, now)
                .await?;
        }
        Step::Refused(reason) => {
            let retry_at = now + RETRY_REFUSED * jitter;
            if namespace.status == NamespaceStatus::Deleting {
                ports
                    .namespaces
                    .postpone(namespace.id, Some(&reason), retry_at, now)
                    .await?;
            } else {
                ports
                    .namespaces
                    .mark_failed(namespace.id, &reason, retry_at, now)
                    .await?;
            }
        }
    }
    Ok(outcome)
}

/// The namespace was deleted while the cluster made it. The work on that is due,
/// unless another instance has done it before there was anything to remove.
///
/// Read anew, because a claim that ended lets another instance make it at the same
/// time: then it is active already, and its account may be using it.
async fn undo(ports: NamespacePorts<'_>, namespace: &Namespace) -> Result<(), StoreError> {
    if !was_deleted(ports.namespaces, namespace).await? {
        return Ok(());
    }
    if let Err(error) = ports.provisioner.remove(namespace).await {
        tracing::warn!(
            namespace = %namespace.id,
            cluster = %namespace.cluster,
            error = &error as &dyn std::error::Error,
            "a namespace that was deleted while it was made may be left in the cluster"
        );
    }
    Ok(())
}

enum Step {
    Provisioned,
    Removed,
    Waits(Option<String>),
    /// The cluster is up, and fails at this one.
    Fails,
    Refused(String),
}

const NO_ANSWER: &str = "The cluster does not answer; the work goes on when it does";
const FAILS: &str = "The cluster answers, but fails at this namespace; it is tried again and again";
const GOING: &str = "The cluster is removing what the namespace holds";

async fn provision(ports: NamespacePorts<'_>, namespace: &Namespace) -> Step {
    match ports.provisioner.provision(namespace).await {
        Ok(()) => Step::Provisioned,
        Err(error) => failed(namespace, &error),
    }
}

async fn remove(ports: NamespacePorts<'_>, namespace: &Namespace) -> Result<Step, StoreError> {
    if ports.identities.count_in(namespace.id).await? > 0 {
        ports.signals.wake_identities();
        return Ok(Step::Waits(None));
    }
    Ok(match ports.provisioner.remove(namespace).await {
        Ok(Removal::Gone) => Step::Removed,
        Ok(Removal::Going { held_by: None }) => Step::Waits(Some(GOING.to_owned())),
        Ok(Removal::Going { held_by: Some(why) }) => Step::Waits(Some(format!("{GOING}: {why}"))),
        Err(error) => failed(namespace, &error),
    })
}

fn failed(namespace: &Namespace, error: &ClusterError) -> Step {
    tracing::warn!(
        namespace = %namespace.id,
        cluster = %namespace.cluster,
        error = error as &dyn std::error::Error,
        "the cluster did not do the work on a namespace"
    );
    match error {
        ClusterError::Unavailable(_) | ClusterError::NotConfigured(_) => {
            Step::Waits(Some(NO_ANSWER.to_owned()))
        }
        ClusterError::Failed(_) | ClusterError::BindingLeft(_) => Step::Fails,
        ClusterError::Unfinished { what } => {
            Step::Waits(Some(format!("The cluster has not finished: {what}")))
        }
        ClusterError::Refused { reason } => {
            Step::Refused(format!("The cluster refused the namespace: {reason}"))
        }
    }
}

/// Making and removing namespaces as a kind of work.
pub(crate) struct MakeNamespaces<R> {
    ports: ReconcilerPorts,
    rng: Mutex<R>,
}

impl<R> MakeNamespaces<R> {
    pub(crate) fn new(ports: ReconcilerPorts, rng: R) -> Self {
        Self {
            ports,
            rng: Mutex::new(rng),
        }
    }

    fn ports(&self) -> NamespacePorts<'_> {
        NamespacePorts {
            namespaces: &*self.ports.namespaces,
            identities: &*self.ports.identities,
            clusters: &*self.ports.clusters,
            provisioner: &*self.ports.provisioner,
            signals: &self.ports.signals,
        }
    }
}

#[async_trait]
impl<R: CryptoRng + Send + 'static> Work<ClusterName> for MakeNamespaces<R> {
    type Piece = (Namespace, f64);

    fn places(&self, _: Tried) -> usize {
        PLACES
    }

    fn state_of(&self, cluster: &ClusterName) -> KeyState {
        KeyState::of_cluster(&*self.ports.clusters, cluster)
    }

    fn counts(&self) -> &WorkCounts {
        &self.ports.counts.namespaces
    }

    async fn due(&self) -> Result<Vec<DueWork>, StoreError> {
        let now = self.ports.clock.now();
        self.ports.namespaces.due_work(now).await
    }

    async fn claim(&self, due: &DueWork, limit: u32) -> Result<Vec<Self::Piece>, StoreError> {
        let now = self.ports.clock.now();
        let claimed = claim_namespaces(self.ports(), due, limit, now).await?;
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = claimed.into_iter();
        Ok(claimed
            .map(|namespace| (namespace, rng.random_range(0.75..1.25)))
            .collect())
    }

    async fn act(&self, (namespace, jitter): Self::Piece) -> WorkOutcome {
        settle_namespace(self.ports(), &namespace, jitter, &*self.ports.clock).await
    }

    async fn wait(&self) {
        self.ports.signals.namespaces_within(POLL).await;
    }
}
