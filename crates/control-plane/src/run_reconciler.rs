//! What an instance does besides answering: the clusters follow the store, and
//! uses of keys are written down.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use rand::{CryptoRng, SeedableRng, rngs::StdRng};
use remotegpu_accounts::{AccountRepository, AuditLog, SessionPolicy, SessionRepository};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterName, ClusterStatus, CredentialMint, HeldNamespaceRepository,
    IdentityRepository, NamespaceProvisioner, NamespaceRepository,
};
use remotegpu_primitives::{Clock, StoreError};

use crate::{
    AuditBuffer, ClaimPorts, HeldPorts, IdentityPorts, KeyUses, NamespacePorts,
    NamespaceSweepPorts, Signals, SweepCounts, SweepPorts, keep_held_settled, raise_claim,
    reconcile_identities, reconcile_namespaces, sweep_identities, sweep_namespaces,
};

/// How often the store is asked for what other instances, the operator or the
/// clock have ended: well within the second that contract X9 gives.
const IDENTITY_POLL: Duration = Duration::from_millis(250);
/// How often the store is asked for work on namespaces.
const NAMESPACE_POLL: Duration = Duration::from_millis(500);
/// How long the work of a cluster is left alone when the store did not take it.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long after a vain attempt a cluster that does not answer is tried again.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(1);
/// How long work in a cluster that the configuration does not name is left alone.
const UNCONFIGURED_PAUSE: Duration = Duration::from_mins(1);
/// How often uses of keys are written down.
/// They wait less when many keys are in use.
const USES_FLUSH: Duration = Duration::from_secs(2);
/// How often audit events that belong to no transaction are written down: so much
/// of them an instance that is killed may lose (contract R5).
const AUDIT_FLUSH: Duration = Duration::from_secs(1);
/// How many audit events that are too old are removed at once, and how many times
/// in one sweep: several instances may do it at the same time.
const EXPIRED_AT_ONCE: u32 = 1000;
const EXPIRED_ROUNDS: u32 = 50;
/// How often what nothing living justifies is looked for.
/// A minute has to be enough for the sweep itself too (contract N5).
const SWEEP: Duration = Duration::from_secs(45);

/// What the reconciler needs.
#[derive(Clone)]
pub struct ReconcilerPorts {
    /// The accounts of this installation.
    pub accounts: Arc<dyn AccountRepository>,
    /// The clusters, whose identities are swept.
    pub clusters: Arc<dyn ClusterDirectory>,
    /// The keys whose use is written down.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// The sessions that end by the clock.
    pub sessions: Arc<dyn SessionRepository>,
    /// How long sessions live.
    pub session_policy: SessionPolicy,
    /// The namespaces.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// The namespaces that wait for the operator's word.
    pub held: Arc<dyn HeldNamespaceRepository>,
    /// Whether this database acts in a cluster.
    pub claims: ClaimPorts,
    /// The cluster identities.
    pub identities: Arc<dyn IdentityRepository>,
    /// What makes and removes namespaces.
    pub provisioner: Arc<dyn NamespaceProvisioner>,
    /// What ends identities.
    pub mint: Arc<dyn CredentialMint>,
    /// What wakes it.
    pub signals: Arc<Signals>,
    /// What sweeps find.
    pub sweeps: Arc<SweepCounts>,
    /// The uses that wait to be written.
    pub uses: Arc<KeyUses>,
    /// The audit events that wait to be written.
    pub audit: Arc<AuditBuffer>,
    /// Where they go.
    pub audit_log: Arc<dyn AuditLog>,
    /// How long audit events are kept.
    pub audit_retention: time::Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works until it is dropped. Nothing is lost by dropping it at any point: what
/// was begun is taken up again by whoever runs next.
pub async fn run_reconciler(ports: ReconcilerPorts, rng: impl CryptoRng + Send) {
    let ending = EndIdentities { ports: &ports };
    let rng = Mutex::new(rng);
    let making = MakeNamespaces { ports: &ports, rng };
    let uses = async {
        loop {
            ports.uses.flush_within(USES_FLUSH).await;
            let flushed = ports
                .uses
                .flush_gently(&*ports.keys, ports.clock.now())
                .await;
            tell("uses of keys were not written down", flushed);
        }
    };
    let audit = async {
        loop {
            ports.audit.flush_within(AUDIT_FLUSH).await;
            let flushed = ports.audit.flush(&*ports.audit_log).await;
            tell("audit events were not written down", flushed);
        }
    };
    let ended = async {
        loop {
            let now = ports.clock.now();
            let ended = ports.identities.end_unjustified(now).await;
            if let Ok(1..) = ended {
                ports.signals.wake_identities();
            }
            tell("unjustified identities were not looked for", ended);
            let SessionPolicy { idle, total } = ports.session_policy;
            let removed = ports.sessions.delete_ended(now - total, now - idle).await;
            tell("sessions that ended were not removed", removed);
            tell(
                "audit events that are too old were not removed",
                forget_audit_events(&ports).await,
            );
            tokio::time::sleep(SWEEP).await;
        }
    };
    let held = keep_held_settled(HeldPorts {
        held: &*ports.held,
        namespaces: &*ports.namespaces,
        clusters: &*ports.clusters,
        provisioner: &*ports.provisioner,
    });
    let clusters = ports.clusters.list().into_iter();
    let sweeps = join_all(clusters.map(|cluster| keep_swept(&ports, cluster.name)));
    tokio::join!(
        work_off(&ending),
        work_off(&making),
        uses,
        audit,
        ended,
        held,
        sweeps
    );
}

async fn forget_audit_events(ports: &ReconcilerPorts) -> Result<(), StoreError> {
    let before = ports.clock.now() - ports.audit_retention;
    for _ in 0..EXPIRED_ROUNDS {
        let removed = ports.audit_log.delete_before(before, EXPIRED_AT_ONCE);
        if removed.await? < EXPIRED_AT_ONCE.into() {
            break;
        }
    }
    Ok(())
}

/// Sweeps one cluster again and again, in its own time: one that is slow holds up
/// no other.
async fn keep_swept(ports: &ReconcilerPorts, cluster: ClusterName) {
    loop {
        sweep_cluster(ports, &cluster).await;
        tokio::time::sleep(SWEEP).await;
    }
}

async fn sweep_cluster(ports: &ReconcilerPorts, cluster: &ClusterName) {
    // Contract R9. Nothing is swept where this database does not act.
    let may_remove = match raise_claim(&ports.claims, cluster).await {
        Ok(state) if state.may_act() => state.may_remove(),
        Ok(_) => return,
        Err(error) => {
            tracing::warn!(
                %cluster,
                error = &error as &dyn std::error::Error,
                "a cluster was not swept, because its claim could not be raised"
            );
            return;
        }
    };
    let sweep_ports = SweepPorts {
        identities: &*ports.identities,
        accounts: &*ports.accounts,
        mint: &*ports.mint,
        counts: &ports.sweeps,
        may_remove,
    };
    match sweep_identities(sweep_ports, cluster, &*ports.clock).await {
        Ok(0) => {}
        Ok(removed) => tracing::warn!(
            %cluster,
            removed,
            "cluster identities that nobody remembered are removed"
        ),
        Err(error) => tracing::warn!(
            %cluster,
            error = &error as &dyn std::error::Error,
            "a cluster was not swept"
        ),
    }
    // After the identities, so that bindings go before the namespace they are in.
    let namespace_ports = NamespaceSweepPorts {
        namespaces: &*ports.namespaces,
        held: &*ports.held,
        claims: &*ports.claims.claims,
        clusters: &*ports.clusters,
        provisioner: &*ports.provisioner,
        counts: &ports.sweeps,
        may_remove,
    };
    let swept = sweep_namespaces(namespace_ports, cluster, ports.clock.now()).await;
    if let Err(error) = swept {
        tracing::warn!(
            %cluster,
            error = &error as &dyn std::error::Error,
            "the namespaces of a cluster were not swept"
        );
    }
}

/// A kind of work that clusters have to do.
#[async_trait]
trait Work: Sync {
    /// The clusters that have some.
    async fn due(&self) -> Result<Vec<ClusterName>, StoreError>;
    /// Does what is due in one of them, up to a bound.
    async fn round(&self, cluster: &ClusterName);
    /// Waits until it is worth looking again.
    async fn wait(&self);
}

/// Works on each cluster that has something due, and on all of them at the same
/// time: one that hangs holds up nothing but its own.
async fn work_off(work: &dyn Work) {
    let mut busy = HashSet::new();
    let mut at_work = FuturesUnordered::new();
    loop {
        let due = work.due().await.unwrap_or_else(|error| {
            tell::<()>("work was not looked for", Err(error));
            Vec::new()
        });
        for cluster in due {
            if busy.insert(cluster.clone()) {
                at_work.push(async move {
                    work.round(&cluster).await;
                    cluster
                });
            }
        }
        tokio::select! {
            Some(cluster) = at_work.next() => {
                busy.remove(&cluster);
            }
            () = work.wait() => {}
        }
    }
}

struct EndIdentities<'a> {
    ports: &'a ReconcilerPorts,
}

#[async_trait]
impl Work for EndIdentities<'_> {
    async fn due(&self) -> Result<Vec<ClusterName>, StoreError> {
        let now = self.ports.clock.now();
        self.ports.identities.clusters_with_ended(now).await
    }

    async fn round(&self, cluster: &ClusterName) {
        let ports = IdentityPorts {
            identities: &*self.ports.identities,
            clusters: &*self.ports.clusters,
            mint: &*self.ports.mint,
        };
        let worked = reconcile_identities(ports, cluster, &*self.ports.clock).await;
        if worked.as_ref().is_ok_and(|count| *count > 0) {
            // A namespace may have waited for these.
            self.ports.signals.wake_namespaces();
        }
        rest(self.ports, cluster, worked).await;
    }

    async fn wait(&self) {
        self.ports.signals.identities_within(IDENTITY_POLL).await;
    }
}

struct MakeNamespaces<'a, R> {
    ports: &'a ReconcilerPorts,
    rng: Mutex<R>,
}

#[async_trait]
impl<R: CryptoRng + Send> Work for MakeNamespaces<'_, R> {
    async fn due(&self) -> Result<Vec<ClusterName>, StoreError> {
        self.ports
            .namespaces
            .due_clusters(self.ports.clock.now())
            .await
    }

    async fn round(&self, cluster: &ClusterName) {
        let ports = NamespacePorts {
            namespaces: &*self.ports.namespaces,
            identities: &*self.ports.identities,
            clusters: &*self.ports.clusters,
            provisioner: &*self.ports.provisioner,
            signals: &self.ports.signals,
        };
        let mut rng = {
            let mut shared = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            StdRng::from_rng(&mut *shared)
        };
        let worked = reconcile_namespaces(ports, cluster, &mut rng, &*self.ports.clock).await;
        rest(self.ports, cluster, worked).await;
    }

    async fn wait(&self) {
        self.ports.signals.namespaces_within(NAMESPACE_POLL).await;
    }
}

/// After a round. A store that does not take what was done is left alone for a
/// moment: it may well go on answering what is due. So is a cluster that does not
/// answer, and one that is not configured for longer: only a restart can change that.
async fn rest(ports: &ReconcilerPorts, cluster: &ClusterName, worked: Result<usize, StoreError>) {
    if worked.is_err() {
        tell("work could not be done", worked);
        tokio::time::sleep(STORE_PAUSE).await;
    } else if ports.clusters.find(cluster).is_none() {
        tokio::time::sleep(UNCONFIGURED_PAUSE).await;
    } else if ports.clusters.status(cluster) == ClusterStatus::Unavailable {
        tokio::time::sleep(UNAVAILABLE_PAUSE).await;
    }
}

fn tell<T>(what: &'static str, result: Result<T, StoreError>) {
    if let Err(error) = result {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}
