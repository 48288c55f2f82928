//! What an instance does besides answering: the clusters follow the store, and
//! uses of keys are written down.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rand::{CryptoRng, RngExt};
use remotegpu_accounts::{AccountRepository, AuditLog, SessionPolicy, SessionRepository};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterName, CredentialIdentity, CredentialMint, DueWork,
    HeldNamespaceRepository, IdentityRepository, KubernetesNamespaceName, Namespace,
    NamespaceProvisioner, NamespaceRepository, SweepLeaseRepository, Tried,
};
use remotegpu_primitives::{Clock, IdentityId, InstanceId, StoreError};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    AuditBuffer, ClaimPorts, EndIdentityError, HeldPorts, IdentityPorts, IdentityUses, KeyUses,
    NamespacePorts, NamespaceSweepPorts, Signals, SweepCounts, SweepPorts, Tidied, TidyPorts,
    claim_ended_identities, claim_namespaces, end_identity, keep_held_settled,
    machinery::sweeper::Sweeper,
    machinery::work_off::{Work, work_off},
    raise_claim, settle_namespace, sweep_identities, sweep_namespaces, tidy_store,
};

/// How often the store is asked for what other instances, the operator or the
/// clock have ended: well within the second that contract X9 gives.
const IDENTITY_POLL: Duration = Duration::from_millis(250);
/// How often the store is asked for work on namespaces.
const NAMESPACE_POLL: Duration = Duration::from_millis(500);
/// How many identities of a cluster are ended at the same time that have just ended, and
/// how many that could not be ended before; the same of namespaces.
const ENDS: [usize; 2] = [16, 8];
const NAMESPACES: [usize; 2] = [8, 8];
/// How often it is told at the most which identities cannot be ended.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// What the reconciler needs.
#[derive(Clone)]
pub struct ReconcilerPorts {
    /// The accounts of this installation.
    pub accounts: Arc<dyn AccountRepository>,
    /// The clusters, whose identities are swept.
    pub clusters: Arc<dyn ClusterDirectory>,
    /// The keys whose use is written down, and whose rows end.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// How long revoked and expired keys are kept.
    pub dead_key_retention: time::Duration,
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
    /// Who sweeps which cluster.
    pub leases: Arc<dyn SweepLeaseRepository>,
    /// Who this instance is among all.
    pub instance: InstanceId,
    /// How often what nothing living justifies is looked for, in the store and in the
    /// clusters. A minute has to be enough for the sweep itself too (contract N5).
    pub sweep_every: Duration,
    /// The uses of keys that wait to be written.
    pub uses: Arc<KeyUses>,
    /// The uses of identities that wait to be written.
    pub identity_uses: Arc<IdentityUses>,
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
pub async fn run_reconciler(ports: ReconcilerPorts, rng: impl CryptoRng + Send + 'static) {
    let ending = EndIdentities {
        ports: ports.clone(),
        failures: Mutex::default(),
    };
    let making = MakeNamespaces {
        ports: ports.clone(),
        rng: Mutex::new(rng),
    };
    // Each by itself: a list of a whole cluster that is read holds up nobody's end.
    let mut apart = JoinSet::new();
    apart.spawn(work_off(ending));
    apart.spawn(work_off(making));
    for cluster in ports.clusters.list() {
        apart.spawn(keep_swept(ports.clone(), cluster.name));
    }
    let clock = &*ports.clock;
    let uses = ports.uses.keep_flushed(&*ports.keys, clock);
    let identity_uses = ports.identity_uses.keep_flushed(&*ports.identities, clock);
    let audit = ports.audit.keep_flushed(&*ports.audit_log, clock);
    let tidying = async {
        let tidy_ports = TidyPorts {
            identities: &*ports.identities,
            keys: &*ports.keys,
            dead_key_retention: ports.dead_key_retention,
            sessions: &*ports.sessions,
            session_policy: ports.session_policy,
            audit_log: &*ports.audit_log,
            audit_retention: ports.audit_retention,
            signals: &ports.signals,
        };
        let mut tidied = Tidied::default();
        loop {
            tidy_store(tidy_ports, &mut tidied, ports.clock.now()).await;
            tokio::time::sleep(ports.sweep_every).await;
        }
    };
    let held = keep_held_settled(HeldPorts {
        held: &*ports.held,
        namespaces: &*ports.namespaces,
        clusters: &*ports.clusters,
        provisioner: &*ports.provisioner,
    });
    tokio::select! {
        // None of them ends but by a fault of ours: then better no reconciler at all,
        // which is noticed.
        broken = apart.join_next() => {
            tracing::error!(?broken, "a part of the reconciler broke off");
        }
        _ = async { tokio::join!(uses, identity_uses, audit, tidying, held) } => {}
    }
}

/// Sweeps one cluster in its own time, while that is this instance's turn, and at once
/// when it becomes so: one that is slow holds up no other.
async fn keep_swept(ports: ReconcilerPorts, cluster: ClusterName) {
    let sweeper = Sweeper {
        leases: Arc::clone(&ports.leases),
        holder: ports.instance,
        cluster: cluster.clone(),
    };
    loop {
        let until = sweeper.turn().await;
        let sweeping = async {
            loop {
                sweep_cluster(&ports, &cluster).await;
                tokio::time::sleep(ports.sweep_every).await;
            }
        };
        tracing::debug!(%cluster, "this instance sweeps a cluster from now on");
        tokio::select! {
            biased;
            () = sweeper.keep(until) => {}
            () = sweeping => {}
        }
        tracing::debug!(%cluster, "this instance sweeps a cluster no longer");
    }
}

/// Compares one cluster with the store, once. What goes wrong with the identities does not
/// keep the namespaces.
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
        clusters: &*ports.clusters,
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

/// What could not be ended of late, by namespace: how many identities, and why the first.
type Failures =
    BTreeMap<(ClusterName, KubernetesNamespaceName), (usize, IdentityId, EndIdentityError)>;

struct EndIdentities {
    ports: ReconcilerPorts,
    failures: Mutex<(Option<Instant>, Failures)>,
}

impl EndIdentities {
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
impl Work for EndIdentities {
    type Piece = CredentialIdentity;

    fn places(&self, tried: Tried) -> usize {
        of(ENDS, tried)
    }

    fn clusters(&self) -> &dyn ClusterDirectory {
        &*self.ports.clusters
    }

    async fn due(&self) -> Result<Vec<DueWork>, StoreError> {
        self.tell_failures();
        let now = self.ports.clock.now();
        self.ports.identities.due_ends(now).await
    }

    async fn claim(&self, due: &DueWork, limit: u32) -> Result<Vec<Self::Piece>, StoreError> {
        claim_ended_identities(self.ports(), due, limit, self.ports.clock.now()).await
    }

    async fn act(&self, identity: Self::Piece) {
        let ended = end_identity(self.ports(), &identity, &*self.ports.clock).await;
        if let Err(error) = ended {
            self.note(&identity, error);
        }
    }

    fn rest(&self) {
        // A namespace may have waited for these.
        self.ports.signals.wake_namespaces();
    }

    async fn wait(&self) {
        self.ports.signals.identities_within(IDENTITY_POLL).await;
    }
}

struct MakeNamespaces<R> {
    ports: ReconcilerPorts,
    rng: Mutex<R>,
}

impl<R> MakeNamespaces<R> {
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
impl<R: CryptoRng + Send + 'static> Work for MakeNamespaces<R> {
    type Piece = (Namespace, f64);

    fn places(&self, tried: Tried) -> usize {
        of(NAMESPACES, tried)
    }

    fn clusters(&self) -> &dyn ClusterDirectory {
        &*self.ports.clusters
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

    async fn act(&self, (namespace, jitter): Self::Piece) {
        settle_namespace(self.ports(), &namespace, jitter, &*self.ports.clock).await;
    }

    fn rest(&self) {}

    async fn wait(&self) {
        self.ports.signals.namespaces_within(NAMESPACE_POLL).await;
    }
}

fn of([new, before]: [usize; 2], tried: Tried) -> usize {
    match tried {
        Tried::Never => new,
        Tried::Before => before,
    }
}
