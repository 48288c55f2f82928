//! The clusters follow the store: namespaces are made and removed (contract N5).

use futures_util::{StreamExt, stream};
use rand::{CryptoRng, RngExt};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, ClusterStatus, IdentityRepository, Namespace,
    NamespaceProvisioner, NamespaceRepository, NamespaceStatus, Removal,
};
use remotegpu_primitives::{Clock, StoreError};
use time::{Duration, OffsetDateTime};

use crate::Signals;

/// How many are claimed at once, and how many of these are worked on at once.
const BATCH: u32 = 32;
const AT_ONCE: usize = 8;
/// For how long a claim keeps others away.
const CLAIM: Duration = Duration::seconds(30);
/// How soon, and how late at the most, unfinished work is tried again.
const RETRY_SOONEST: Duration = Duration::milliseconds(200);
const RETRY_LATEST: Duration = Duration::seconds(5);
/// When a namespace that was refused is tried again.
const RETRY_REFUSED: Duration = Duration::seconds(30);

/// What making and removing namespaces needs.
#[derive(Clone, Copy)]
pub struct NamespacePorts<'a> {
    /// What is to be done.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Which identities must go first.
    pub identities: &'a dyn IdentityRepository,
    /// Which clusters answer.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where it is done.
    pub provisioner: &'a dyn NamespaceProvisioner,
    /// Whom to tell.
    pub signals: &'a Signals,
}

/// Does what is due in one cluster, once. Answers how many namespaces were
/// claimed. Of a cluster that does not answer one is tried at a time.
pub async fn reconcile_namespaces(
    ports: NamespacePorts<'_>,
    cluster: &ClusterName,
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
) -> Result<usize, StoreError> {
    // Contract R9. Where this database does not act nothing is begun. (A cluster that is
    // not configured has no claim, and is told of below.)
    let is_configured = ports.clusters.find(cluster).is_some();
    if is_configured && !ports.clusters.claim(cluster).may_act() {
        return Ok(0);
    }
    let now = clock.now();
    let batch = match ports.clusters.status(cluster) {
        ClusterStatus::Unavailable => 1,
        _ => BATCH,
    };
    let claimed = ports
        .namespaces
        .claim(cluster, batch, now, now + CLAIM)
        .await?;
    let count = claimed.len();
    let work: Vec<(Namespace, f64)> = claimed
        .into_iter()
        .map(|namespace| (namespace, rng.random_range(0.75..1.25)))
        .collect();
    stream::iter(work)
        .for_each_concurrent(AT_ONCE, |(namespace, jitter)| async move {
            if let Err(error) = step(ports, &namespace, jitter, clock).await {
                // The claim ends by itself, and the work is taken up again.
                tracing::warn!(
                    namespace = %namespace.id,
                    error = &error as &dyn std::error::Error,
                    "work on a namespace could not be written down"
                );
            }
            ports.signals.tell_done();
        })
        .await;
    Ok(count)
}

async fn step(
    ports: NamespacePorts<'_>,
    namespace: &Namespace,
    jitter: f64,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let done = match namespace.status {
        NamespaceStatus::Deleting => remove(ports, namespace).await?,
        _ => provision(ports, namespace).await,
    };
    let now = clock.now();
    let retry_at = now + backoff(namespace, now) * jitter;
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
    Ok(())
}

/// The namespace was deleted while the cluster made it. The work on that is due,
/// unless another instance has done it before there was anything to remove.
///
/// Read anew, because a claim that ended lets another instance make it at the same
/// time: then it is active already, and its account may be using it.
async fn undo(ports: NamespacePorts<'_>, namespace: &Namespace) -> Result<(), StoreError> {
    let (account, id) = (namespace.account_id, namespace.id);
    let again = ports.namespaces.find(account, id).await?;
    if again.is_some_and(|again| again.status != NamespaceStatus::Deleting) {
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
    Refused(String),
}

const NO_ANSWER: &str = "The cluster does not answer; the work goes on when it does";
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
        ClusterError::Unfinished { what } => {
            Step::Waits(Some(format!("The cluster has not finished: {what}")))
        }
        ClusterError::Refused { reason } => {
            Step::Refused(format!("The cluster refused the namespace: {reason}"))
        }
    }
}

/// Half of what the work has taken so far, so that each pause is half as long
/// again as the one before; no counter is needed.
fn backoff(namespace: &Namespace, now: OffsetDateTime) -> Duration {
    let waited = now - namespace.updated_at;
    let pause: Duration = waited / 2;
    pause.clamp(RETRY_SOONEST, RETRY_LATEST)
}
