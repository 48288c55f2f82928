//! What an instance does besides answering: the clusters follow the store, and
//! uses of keys are written down.

use std::{sync::Arc, time::Duration};

use rand::CryptoRng;
use remotegpu_accounts::{AccountRepository, SessionPolicy, SessionRepository};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClusterDirectory, CredentialMint, IdentityRepository, NamespaceProvisioner, NamespaceRepository,
};
use remotegpu_primitives::{Clock, StoreError};

use crate::{
    IdentityPorts, KeyUses, NamespacePorts, Signals, SweepPorts, reconcile_identities,
    reconcile_namespaces, sweep_identities,
};

/// How often the store is asked for what other instances, the operator or the
/// clock have ended: well within the second that contract X9 gives.
const IDENTITY_POLL: Duration = Duration::from_millis(250);
/// How often the store is asked for work on namespaces.
const NAMESPACE_POLL: Duration = Duration::from_millis(500);
/// How often uses of keys are written down.
/// They wait less when many keys are in use.
const USES_FLUSH: Duration = Duration::from_secs(2);
/// How often what nothing living justifies is looked for.
const SWEEP: Duration = Duration::from_mins(1);

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
    /// The cluster identities.
    pub identities: Arc<dyn IdentityRepository>,
    /// What makes and removes namespaces.
    pub provisioner: Arc<dyn NamespaceProvisioner>,
    /// What ends identities.
    pub mint: Arc<dyn CredentialMint>,
    /// What wakes it.
    pub signals: Arc<Signals>,
    /// The uses that wait to be written.
    pub uses: Arc<KeyUses>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works until it is dropped. Nothing is lost by dropping it at any point: what
/// was begun is taken up again by whoever runs next.
pub async fn run_reconciler(ports: ReconcilerPorts, mut rng: impl CryptoRng) {
    let identities = async {
        let identity_ports = IdentityPorts {
            identities: &*ports.identities,
            mint: &*ports.mint,
        };
        loop {
            let found = reconcile_identities(identity_ports, &*ports.clock).await;
            if idle(found) {
                ports.signals.identities_within(IDENTITY_POLL).await;
            } else {
                // A namespace may have waited for these.
                ports.signals.wake_namespaces();
            }
        }
    };
    let namespaces = async {
        let namespace_ports = NamespacePorts {
            namespaces: &*ports.namespaces,
            identities: &*ports.identities,
            provisioner: &*ports.provisioner,
            signals: &ports.signals,
        };
        loop {
            let found = reconcile_namespaces(namespace_ports, &mut rng, &*ports.clock).await;
            if idle(found) {
                ports.signals.namespaces_within(NAMESPACE_POLL).await;
            }
        }
    };
    let uses = async {
        loop {
            ports.uses.flush_within(USES_FLUSH).await;
            let flushed = ports.uses.flush(&*ports.keys, ports.clock.now()).await;
            tell("uses of keys were not written down", flushed);
        }
    };
    let sweep = async {
        loop {
            let now = ports.clock.now();
            let ended = ports.identities.end_unjustified(now).await;
            if let Ok(1..) = ended {
                ports.signals.wake_identities();
            }
            tell("unjustified identities were not looked for", ended);
            sweep_clusters(&ports).await;
            let SessionPolicy { idle, total } = ports.session_policy;
            let removed = ports.sessions.delete_ended(now - total, now - idle).await;
            tell("sessions that ended were not removed", removed);
            tokio::time::sleep(SWEEP).await;
        }
    };
    tokio::join!(identities, namespaces, uses, sweep);
}

async fn sweep_clusters(ports: &ReconcilerPorts) {
    let sweep_ports = SweepPorts {
        identities: &*ports.identities,
        accounts: &*ports.accounts,
        mint: &*ports.mint,
    };
    for cluster in ports.clusters.list() {
        match sweep_identities(sweep_ports, &cluster.name).await {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(
                cluster = %cluster.name,
                removed,
                "cluster identities that nobody remembered are removed"
            ),
            Err(error) => tracing::warn!(
                cluster = %cluster.name,
                error = &error as &dyn std::error::Error,
                "a cluster was not swept"
            ),
        }
    }
}

/// Whether there was nothing to do. A store that does not answer is asked again
/// at the usual pace.
fn idle(found: Result<usize, StoreError>) -> bool {
    let count = found.as_ref().copied().unwrap_or_default();
    tell("work was not looked for", found);
    count == 0
}

fn tell<T>(what: &'static str, result: Result<T, StoreError>) {
    if let Err(error) = result {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}
