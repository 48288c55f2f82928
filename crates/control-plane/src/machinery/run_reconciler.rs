//! What an instance does besides answering: the clusters follow the store, and
//! uses of keys are written down.

use std::{sync::Arc, time::Duration};

use rand::CryptoRng;
use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_accounts::{
    AccountRepository, AuditLog, FormRepository, SessionPolicy, SessionRepository,
};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterName, CredentialMint, HeldNamespaceRepository, IdentityRepository,
    KubeconfigTokenRepository, NamespaceProvisioner, NamespaceRepository, SweepLeaseRepository,
};
use remotegpu_primitives::{Clock, InstanceId};
use tokio::task::JoinSet;

use crate::{
    AccessTokenUses, AuditBuffer, ClaimPorts, IdentityUses, KeyUses, NamespaceSweepPorts, Signals,
    SweepCounts, SweepPorts, Tidied, TidyPorts, WorkCounts,
    machinery::{
        reconcile_identities::EndIdentities, reconcile_namespaces::MakeNamespaces,
        settle_held::SettleHeld, sweeper::Sweeper, work::work_off,
    },
    raise_claim, sweep_identities, sweep_namespaces, tidy_store,
};

/// What an instance has done of each kind of work.
#[derive(Debug, Default)]
pub struct ReconcilerCounts {
    /// Ends of identities.
    pub ends: WorkCounts,
    /// Making and removing namespaces.
    pub namespaces: WorkCounts,
    /// What the operator wants of held namespaces.
    pub held: WorkCounts,
}

impl ReconcilerCounts {
    /// All of them by the words that the metrics have for them.
    pub fn all(&self) -> [(&'static str, &WorkCounts); 3] {
        [
            ("identity_ends", &self.ends),
            ("namespaces", &self.namespaces),
            ("held_namespaces", &self.held),
        ]
    }
}

/// What the reconciler needs.
#[derive(Clone)]
pub struct ReconcilerPorts {
    /// The accounts of this installation.
    pub accounts: Arc<dyn AccountRepository>,
    /// The clusters, whose identities are swept.
    pub clusters: Arc<dyn ClusterDirectory>,
    /// The keys whose use is written down, and whose rows end.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// The access tokens whose use is written down, and whose rows end.
    pub access_tokens: Arc<dyn AccessTokenRepository>,
    /// How long revoked and expired keys, and expired access tokens, are kept.
    pub dead_key_retention: time::Duration,
    /// Tokens in kubeconfigs.
    pub kubeconfig_tokens: Arc<dyn KubeconfigTokenRepository>,
    /// The sessions that end by the clock.
    pub sessions: Arc<dyn SessionRepository>,
    /// Forms that were sent.
    pub forms: Arc<dyn FormRepository>,
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
    /// What comes of its work.
    pub counts: Arc<ReconcilerCounts>,
    /// Who sweeps which cluster.
    pub leases: Arc<dyn SweepLeaseRepository>,
    /// Who this instance is among all.
    pub instance: InstanceId,
    /// How often what nothing living justifies is looked for, in the store and in the
    /// clusters. A minute has to be enough for the sweep itself too (contract N5).
    pub sweep_every: Duration,
    /// The uses of keys that wait to be written.
    pub uses: Arc<KeyUses>,
    /// The uses of access tokens that wait to be written.
    pub access_token_uses: Arc<AccessTokenUses>,
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
    // Each by itself: a list of a whole cluster that is read holds up nobody's end.
    let mut apart = JoinSet::new();
    apart.spawn(work_off(EndIdentities::new(ports.clone())));
    apart.spawn(work_off(MakeNamespaces::new(ports.clone(), rng)));
    apart.spawn(work_off(SettleHeld::new(ports.clone())));
    for cluster in ports.clusters.list() {
        apart.spawn(keep_swept(ports.clone(), cluster.name));
    }
    let clock = &*ports.clock;
    let uses = ports.uses.keep_flushed(&*ports.keys, clock);
    let tokens = &*ports.access_tokens;
    let access_token_uses = ports.access_token_uses.keep_flushed(tokens, clock);
    let identity_uses = ports.identity_uses.keep_flushed(&*ports.identities, clock);
    let audit = ports.audit.keep_flushed(&*ports.audit_log, clock);
    let tidying = async {
        let tidy_ports = TidyPorts {
            identities: &*ports.identities,
            keys: &*ports.keys,
            access_tokens: &*ports.access_tokens,
            dead_key_retention: ports.dead_key_retention,
            kubeconfig_tokens: &*ports.kubeconfig_tokens,
            sessions: &*ports.sessions,
            forms: &*ports.forms,
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
    tokio::select! {
        // None of them ends but by a fault of ours: then better no reconciler at all,
        // which is noticed.
        broken = apart.join_next() => {
            tracing::error!(?broken, "a part of the reconciler broke off");
        }
        _ = async { tokio::join!(uses, access_token_uses, identity_uses, audit, tidying) } => {}
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
