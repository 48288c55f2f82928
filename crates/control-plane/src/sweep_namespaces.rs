//! The clusters follow the store, also where nobody has asked for anything: what
//! of an active namespace was changed or removed behind our back is put right, and
//! namespaces that no row knows are removed (contract N5).

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use remotegpu_accounts::AccountRepository;
use remotegpu_namespaces::{
    ClusterError, ClusterName, LocatedNamespace, Namespace, NamespaceProvisioner,
    NamespaceRepository, NamespaceStatus,
};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{SweepError, own_accounts::OwnAccounts};

/// How many rows are read at once, and how many namespaces are repaired at once.
const PAGE: u32 = 1000;
const AT_ONCE: usize = 8;
/// More than so many unknown namespaces are removed at once only where they are at
/// most half of what the cluster holds of ours. Requests that died in the middle
/// leave one or two; many of them are the sign of a database that is not the one
/// that made them.
const FEW: usize = 10;

/// What sweeping namespaces needs.
#[derive(Clone, Copy)]
pub struct NamespaceSweepPorts<'a> {
    /// Which namespaces there are.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Which accounts are this installation's.
    pub accounts: &'a dyn AccountRepository,
    /// What the clusters hold.
    pub provisioner: &'a dyn NamespaceProvisioner,
    /// Where it is counted what was found.
    pub counts: &'a SweepCounts,
}

/// What sweeps have found since this instance started.
#[derive(Debug, Default)]
pub struct SweepCounts {
    repaired: AtomicU64,
    removed: AtomicU64,
    identities_bound: AtomicU64,
    identities_removed: AtomicU64,
}

impl SweepCounts {
    /// How many times a namespace was put right.
    pub fn repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    /// How many namespaces were removed that no row knew.
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
}

/// Compares one cluster with the store once, and has the cluster follow.
///
/// The cluster is read first and the store second: a row stands before its
/// namespace, so that what is being made at this moment is found known. What names
/// an account that is not ours belongs to another installation that shares the
/// cluster, and stays; so does what has a row in any cluster, because a cluster may
/// bear another name than it did, or two. `now` is the time at which the sweep begins.
pub async fn sweep_namespaces(
    ports: NamespaceSweepPorts<'_>,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<(), SweepError> {
    let held = ports.provisioner.survey(cluster).await?;
    let mut held: HashMap<String, LocatedNamespace> = held
        .into_iter()
        .map(|located| (located.object.name.clone(), located))
        .collect();
    let mut known = 0;
    let mut drifted = Vec::new();
    let mut after = None;
    loop {
        let rows = ports.namespaces.list_in(cluster, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        for row in rows {
            let found = held.remove(row.kubernetes_namespace.as_str());
            known += usize::from(found.is_some());
            let is_whole = found.is_some_and(|found| found.is_whole && found.id == Some(row.id));
            // What changed since may have been looked at half made.
            if row.status == NamespaceStatus::Active && !is_whole && row.updated_at < now {
                drifted.push(row);
            }
        }
    }
    // First what customers use; a removal that the cluster refuses waits for nobody.
    stream::iter(drifted)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |row| async move { repair(ports, &row).await })
        .await?;
    let strays = held.into_values().filter(|located| !located.is_going);
    remove_unknown(ports, cluster, known, strays.collect()).await
}

/// Removes those of the strays, which no row of this cluster claims, that are ours
/// and have no row at all; `known` is how many namespaces rows of this cluster claim.
async fn remove_unknown(
    ports: NamespaceSweepPorts<'_>,
    cluster: &ClusterName,
    known: usize,
    strays: Vec<LocatedNamespace>,
) -> Result<(), SweepError> {
    let ids: Vec<_> = strays.iter().filter_map(|located| located.id).collect();
    let rows = ports.namespaces.find_among(&ids).await?;
    tell_of_elsewhere(cluster, &rows);
    let with_row: HashMap<_, _> = rows.iter().map(|row| (row.id, row)).collect();
    let mut known = known;
    let mut unknown = Vec::new();
    let mut ours = OwnAccounts::new(ports.accounts);
    for located in strays {
        let (Some(id), Some(account)) = (located.id, located.account_id) else {
            continue;
        };
        if with_row.contains_key(&id) {
            known += 1;
            continue;
        }
        if ours.has(account).await? {
            unknown.push(located);
        }
    }
    if unknown.len() > FEW && unknown.len() > known {
        tracing::error!(
            %cluster,
            unknown = unknown.len(),
            known,
            "the database knows less than half of the cluster's namespaces, and none is removed: \
             is it the right database, or a backup? Bring the right one back, or delete what may \
             go with kubectl and take the label remotegpu.ai/namespace-id off the rest"
        );
        return Ok(());
    }
    for located in unknown {
        match ports.provisioner.discard(&located).await {
            Ok(()) => {
                ports.counts.removed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    %cluster,
                    kubernetes_namespace = located.object.name,
                    "a namespace that no row knows is removed"
                );
            }
            Err(error @ ClusterError::Unavailable(_)) => return Err(error.into()),
            Err(error) => tracing::warn!(
                %cluster,
                kubernetes_namespace = located.object.name,
                error = &error as &dyn std::error::Error,
                "a namespace that no row knows could not be removed"
            ),
        }
    }
    Ok(())
}

/// Warns of namespaces that stand in this cluster and belong to another one by
/// their rows.
fn tell_of_elsewhere(cluster: &ClusterName, rows: &[Namespace]) {
    let elsewhere = rows.iter().filter(|row| row.cluster != *cluster);
    let clusters: BTreeSet<&str> = elsewhere.clone().map(|row| row.cluster.as_str()).collect();
    if !clusters.is_empty() {
        tracing::warn!(
            %cluster,
            namespaces = elsewhere.count(),
            held_by = ?clusters,
            "namespaces that are held by other clusters in the database stand in this one, and \
             are left alone: the cluster was renamed, or is configured twice"
        );
    }
}

/// Puts one namespace right. One that cannot be does not keep the others waiting;
/// a cluster that does not answer does.
async fn repair(ports: NamespaceSweepPorts<'_>, row: &Namespace) -> Result<(), SweepError> {
    if !is_active(ports, row).await? {
        return Ok(());
    }
    match ports.provisioner.provision(row).await {
        Ok(()) => {
            ports.counts.repaired.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                namespace = %row.id,
                cluster = %row.cluster,
                "a namespace that was changed in the cluster is put right"
            );
        }
        Err(error @ ClusterError::Unavailable(_)) => return Err(error.into()),
        Err(error) => tracing::warn!(
            namespace = %row.id,
            cluster = %row.cluster,
            error = &error as &dyn std::error::Error,
            "a namespace that was changed in the cluster could not be put right"
        ),
    }
    // Who deleted it meanwhile may have been done before there was anything to remove.
    if is_active(ports, row).await? {
        return Ok(());
    }
    match ports.provisioner.remove(row).await {
        Ok(_) => {}
        Err(error @ ClusterError::Unavailable(_)) => return Err(error.into()),
        Err(error) => tracing::warn!(
            namespace = %row.id,
            cluster = %row.cluster,
            error = &error as &dyn std::error::Error,
            "a namespace that was deleted while it was put right may be left in the cluster"
        ),
    }
    Ok(())
}

async fn is_active(ports: NamespaceSweepPorts<'_>, row: &Namespace) -> Result<bool, StoreError> {
    let again = ports.namespaces.find(row.account_id, row.id).await?;
    Ok(again.is_some_and(|again| again.status == NamespaceStatus::Active))
}
