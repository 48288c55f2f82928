//! The clusters follow the store, also where nobody has asked for anything (contract
//! N5): what of an active namespace was changed or removed behind our back is put
//! right, and one that was deleted and stands again goes. What the store does not know
//! is never removed: it is held until the operator says what (contract R8).

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt, future::join, stream};
use remotegpu_namespaces::{
    ClaimRepository, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, HeldKind,
    HeldNamespace, HeldNamespaceRepository, LocatedNamespace, Namespace, NamespaceProvisioner,
    NamespaceRepository,
};
use remotegpu_primitives::NamespaceId;
use time::OffsetDateTime;

use crate::{
    SweepError,
    machinery::compare_namespaces::{Comparison, compare_namespaces, missing},
    machinery::repair_namespace::repair_namespace,
};

/// How many namespaces are removed, and how many put right, at once.
const AT_ONCE: usize = 8;

/// What sweeping namespaces needs.
#[derive(Clone, Copy)]
pub struct NamespaceSweepPorts<'a> {
    /// Which namespaces there are.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Which of them wait for the operator's word.
    pub held: &'a dyn HeldNamespaceRepository,
    /// Whether what is missing is to be noted.
    pub claims: &'a dyn ClaimRepository,
    /// Which clusters answer.
    pub clusters: &'a dyn ClusterDirectory,
    /// What the clusters hold.
    pub provisioner: &'a dyn NamespaceProvisioner,
    /// Where it is counted what was found.
    pub counts: &'a SweepCounts,
    /// Whether anything is removed (contract R9).
    pub may_remove: bool,
}

/// What sweeps have found since this instance started.
#[derive(Debug, Default)]
pub struct SweepCounts {
    repaired: AtomicU64,
    removed: AtomicU64,
    identities_bound: AtomicU64,
    identities_removed: AtomicU64,
    /// The namespaces without a row that the log has been told of.
    told: Mutex<HashSet<(ClusterName, NamespaceId)>>,
}

impl SweepCounts {
    /// How many times a namespace was put right.
    pub fn repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    /// How many namespaces were removed that had been deleted before and stood again.
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    /// How many times an identity that had lost its binding was bound again.
    pub fn identities_bound(&self) -> u64 {
        self.identities_bound.load(Ordering::Relaxed)
    }

    /// How many identities were removed that no row knew.
    pub fn identities_removed(&self) -> u64 {
        self.identities_removed.load(Ordering::Relaxed)
    }

    pub(crate) fn identity_bound_again(&self) {
        self.identities_bound.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn identity_removed(&self) {
        self.identities_removed.fetch_add(1, Ordering::Relaxed);
    }

    /// Which of a cluster's held namespaces the log was not told of before.
    fn untold<'a>(
        &self,
        cluster: &ClusterName,
        unknown: &'a [HeldNamespace],
    ) -> Vec<&'a HeldNamespace> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: HashSet<NamespaceId> = unknown.iter().map(|held| held.namespace_id).collect();
        told.retain(|(of, id)| of != cluster || ids.contains(id));
        let new = |held: &&HeldNamespace| told.insert((cluster.clone(), held.namespace_id));
        unknown.iter().filter(new).collect()
    }
}

/// Compares one cluster with the store once, and has the cluster follow; `now` is the
/// time at which the sweep begins.
///
/// What is held is written down first, because nothing of that waits for the cluster. Each
/// namespace is worked on by itself: what the cluster refuses or fails to do to one is
/// told, and waits for the next sweep. Only a cluster that is down ends the sweep.
pub async fn sweep_namespaces(
    ports: NamespaceSweepPorts<'_>,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<(), SweepError> {
    let compared = compare_namespaces(ports.namespaces, ports.provisioner, cluster, now).await?;
    tell_of_elsewhere(cluster, &compared.elsewhere);
    // Before anything is made: what is missing after a restore is not to come back.
    let missing = hold(ports, cluster, &compared, now).await?;
    let drifted = compared.drifted.into_iter();
    let to_repair: Vec<_> = drifted.filter(|row| !missing.contains(&row.id)).collect();
    // Beside one another: no cluster has two namespaces of one name, so that none of what
    // goes is one of what is put right.
    // Where one fails, the other one is not given up.
    let (removed, repaired) = join(
        remove_all(ports, compared.deleted),
        repair_all(ports, to_repair),
    )
    .await;
    removed?;
    repaired
}

async fn remove_all(
    ports: NamespaceSweepPorts<'_>,
    deleted: Vec<LocatedNamespace>,
) -> Result<(), SweepError> {
    if !ports.may_remove {
        return Ok(());
    }
    stream::iter(deleted)
        .map(Ok)
        .try_for_each_concurrent(
            AT_ONCE,
            |located| async move { discard(ports, &located).await },
        )
        .await
}

async fn repair_all(
    ports: NamespaceSweepPorts<'_>,
    rows: Vec<Namespace>,
) -> Result<(), SweepError> {
    stream::iter(rows)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |row| async move { repair(ports, &row).await })
        .await
}

/// Writes down what is held, and warns of what is new. Answers which active namespaces
/// are missing, and left alone.
async fn hold(
    ports: NamespaceSweepPorts<'_>,
    cluster: &ClusterName,
    compared: &Comparison,
    now: OffsetDateTime,
) -> Result<HashSet<NamespaceId>, SweepError> {
    let known = ports.held.list_held(Some(cluster)).await?;
    let known_missing: HashSet<NamespaceId> = known
        .iter()
        .filter(|held| held.kind == HeldKind::Missing)
        .map(|held| held.namespace_id)
        .collect();
    let claim = ports.claims.known_claim(cluster).await?;
    let look = claim.is_some_and(|claim| claim.look_for_missing);
    let is_missing = |row: &&Namespace| {
        compared.absent.contains(&row.id) && (look || known_missing.contains(&row.id))
    };
    let missing_rows: Vec<&Namespace> = compared.drifted.iter().filter(is_missing).collect();
    let missing_rows_held = missing_rows.iter().map(|row| missing(row, now));
    let mut held = compared.unknown.clone();
    held.extend(missing_rows_held);
    ports.held.note_held(cluster, &held).await?;
    if look {
        ports.claims.missing_is_noted(cluster).await?;
    }
    for new in ports.counts.untold(cluster, &compared.unknown) {
        tracing::warn!(
            %cluster,
            kubernetes_namespace = %new.kubernetes_namespace,
            "a namespace that no row knows is held: see remotegpu-api admin held list"
        );
    }
    Ok(missing_rows.iter().map(|row| row.id).collect())
}

/// Removes what was deleted before and stands again.
async fn discard(
    ports: NamespaceSweepPorts<'_>,
    located: &LocatedNamespace,
) -> Result<(), SweepError> {
    match ports.provisioner.discard(located).await {
        Ok(()) => {
            ports.counts.removed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                cluster = %located.cluster,
                kubernetes_namespace = located.object.name,
                "a namespace that was deleted before is removed"
            );
        }
        Err(error) => {
            end_if_down(ports, &located.cluster, &error)?;
            tracing::warn!(
                cluster = %located.cluster,
                kubernetes_namespace = located.object.name,
                error = &error as &dyn std::error::Error,
                "a namespace that was deleted before could not be removed"
            );
        }
    }
    Ok(())
}

/// Puts one namespace right. One that cannot be does not keep the others waiting.
async fn repair(ports: NamespaceSweepPorts<'_>, row: &Namespace) -> Result<(), SweepError> {
    match repair_namespace(ports.namespaces, ports.provisioner, row).await {
        Ok(true) => {
            ports.counts.repaired.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                namespace = %row.id,
                cluster = %row.cluster,
                "a namespace that was changed in the cluster is put right"
            );
        }
        Ok(false) => {}
        Err(error @ SweepError::Store(_)) => return Err(error),
        Err(SweepError::Cluster(error)) => {
            end_if_down(ports, &row.cluster, &error)?;
            tracing::warn!(
                namespace = %row.id,
                cluster = %row.cluster,
                error = &error as &dyn std::error::Error,
                "a namespace that was changed in the cluster could not be put right"
            );
        }
    }
    Ok(())
}

/// Ends the sweep where the cluster as a whole is down; what is wrong with one object
/// alone does not.
fn end_if_down(
    ports: NamespaceSweepPorts<'_>,
    cluster: &ClusterName,
    error: &ClusterError,
) -> Result<(), SweepError> {
    let is_down = matches!(error, ClusterError::Unavailable(_))
        && ports.clusters.status(cluster) == ClusterStatus::Unavailable;
    if is_down {
        return Err(ClusterError::Unavailable(None).into());
    }
    Ok(())
}

/// Warns of namespaces that stand in this cluster and belong to another one by
/// their rows.
fn tell_of_elsewhere(cluster: &ClusterName, rows: &[Namespace]) {
    let clusters: BTreeSet<&str> = rows.iter().map(|row| row.cluster.as_str()).collect();
    if !clusters.is_empty() {
        tracing::warn!(
            %cluster,
            namespaces = rows.len(),
            held_by = ?clusters,
            "namespaces that are held by other clusters in the database stand in this one, and \
             are left alone: the cluster was renamed, or is configured twice"
        );
    }
}
