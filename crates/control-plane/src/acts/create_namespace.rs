//! A namespace is made: written down first, then made in its cluster by the
//! reconciler, while the caller waits a little (contract N2 to N5).

use std::time::Duration;

use rand::CryptoRng;
use remotegpu_namespaces::{
    Cluster, ClusterDirectory, ClusterName, ClusterStatus, InsertNamespace,
    KubernetesNamespaceName, Namespace, NamespaceName, NamespaceRepository, NamespaceStatus,
    NewNamespace,
};
use remotegpu_primitives::{NamespaceId, StoreError};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{Caller, Signals, Write};

/// How long the caller waits for the cluster at the most.
const WAIT: Duration = Duration::from_secs(10);
/// How often the store is asked meanwhile: another instance may do the work.
const POLL: Duration = Duration::from_millis(100);

/// What making a namespace needs.
#[derive(Clone, Copy)]
pub struct CreateNamespacePorts<'a> {
    /// Where the namespace is written down.
    pub namespaces: &'a dyn NamespaceRepository,
    /// The clusters it may stand in.
    pub clusters: &'a dyn ClusterDirectory,
    /// What wakes the reconciler.
    pub signals: &'a Signals,
}

/// What a namespace shall be.
#[derive(Debug, Clone)]
pub struct CreateNamespace {
    /// What the account calls it.
    pub name: NamespaceName,
    /// The cluster it shall stand in; the first configured one where absent.
    pub cluster: Option<String>,
    /// How many namespaces an account may have that has no limit of its own.
    pub default_limit: u32,
}

/// No namespace was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateNamespaceError {
    /// No cluster has this name, or none is configured at all.
    #[error("There is no such cluster")]
    ClusterUnknown,
    /// The account has a namespace of this name.
    #[error("The account already has a namespace of this name")]
    NameTaken,
    /// The account has as many namespaces as it may have.
    #[error("The account's limit of namespaces is reached")]
    LimitReached,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The cluster that a request names, the first configured one where it names none.
pub fn find_cluster(clusters: &dyn ClusterDirectory, name: Option<&str>) -> Option<Cluster> {
    match name {
        None => clusters.list().into_iter().next(),
        Some(name) => clusters.find(&ClusterName::parse(name).ok()?),
    }
}

/// Makes a namespace for the caller's account. Answers when it is active, after
/// ten seconds as it is then, or at once where its cluster is known to be down.
pub async fn create_namespace(
    ports: CreateNamespacePorts<'_>,
    caller: &Caller<Write>,
    wanted: CreateNamespace,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Namespace, CreateNamespaceError> {
    let cluster = find_cluster(ports.clusters, wanted.cluster.as_deref());
    let cluster = cluster.ok_or(CreateNamespaceError::ClusterUnknown)?.name;
    let new = NewNamespace {
        id: NamespaceId::generate(now, rng),
        account_id: caller.account().id,
        kubernetes_namespace: KubernetesNamespaceName::generate(&wanted.name, rng),
        name: wanted.name,
        cluster,
        created_at: now,
    };
    let (limit, act) = (wanted.default_limit, caller.act(rng, now));
    let inserted = match ports.namespaces.insert(&new, limit, &act).await? {
        InsertNamespace::Inserted(namespace) => namespace,
        InsertNamespace::NameTaken => return Err(CreateNamespaceError::NameTaken),
        InsertNamespace::LimitReached => return Err(CreateNamespaceError::LimitReached),
    };
    ports.signals.wake_namespaces();
    Ok(wait_until_settled(ports, inserted).await)
}

/// What was acknowledged to the store is answered in any case: a store that goes
/// away meanwhile only means that the answer is older.
async fn wait_until_settled(ports: CreateNamespacePorts<'_>, inserted: Namespace) -> Namespace {
    let until = Instant::now() + WAIT;
    let mut known = inserted;
    while known.status == NamespaceStatus::Provisioning && Instant::now() < until {
        if ports.clusters.status(&known.cluster) == ClusterStatus::Unavailable {
            break;
        }
        ports.signals.done_within(POLL).await;
        match ports.namespaces.find(known.account_id, known.id).await {
            Ok(Some(namespace)) => known = namespace,
            // Somebody deleted it, and the cluster has let go of it already.
            Ok(None) | Err(_) => break,
        }
    }
    known
}
