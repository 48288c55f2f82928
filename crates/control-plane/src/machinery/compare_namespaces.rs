//! How the namespaces of a cluster differ from those of the store.

use std::collections::{HashMap, HashSet};

use remotegpu_namespaces::{
    ClusterName, HeldKind, HeldNamespace, KubernetesNamespaceName, LocatedNamespace, Namespace,
    NamespaceProvisioner, NamespaceRepository, NamespaceStatus,
};
use remotegpu_primitives::NamespaceId;
use time::OffsetDateTime;

use crate::SweepError;

/// How many rows are read at once.
const PAGE: u32 = 1000;

/// What was found when one cluster was compared with the store.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Active, and not all of it stands as it should; or nothing of it ([`Self::absent`]).
    pub(crate) drifted: Vec<Namespace>,
    /// Which of these do not stand at all.
    pub(crate) absent: HashSet<NamespaceId>,
    /// To be made or to go: the reconciler's work, which is under way.
    pub(crate) unsettled: Vec<Namespace>,
    /// Stands, though its row says that it was deleted and had gone.
    pub(crate) deleted: Vec<LocatedNamespace>,
    /// Stands under our labels, and no row knows it.
    pub(crate) unknown: Vec<HeldNamespace>,
    /// Stands here, and belongs to another cluster by its row.
    pub(crate) elsewhere: Vec<Namespace>,
}

/// Compares one cluster with the store. `now` is the time at which that begins.
///
/// The cluster is read first and the store second: a row stands before its namespace,
/// so that what is being made at this moment is found known. What has a row in any
/// cluster is known, because a cluster may bear another name than it did, or two.
pub(crate) async fn compare_namespaces(
    namespaces: &dyn NamespaceRepository,
    provisioner: &dyn NamespaceProvisioner,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<Comparison, SweepError> {
    let standing = provisioner.survey(cluster).await?;
    let mut standing: HashMap<String, LocatedNamespace> = standing
        .into_iter()
        .map(|located| (located.object.name.clone(), located))
        .collect();
    let mut compared = Comparison::default();
    let mut after = None;
    loop {
        let rows = namespaces.list_in(cluster, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        for row in rows {
            let found = standing.remove(row.kubernetes_namespace.as_str());
            compared.note(row, found.as_ref(), now);
        }
    }
    let strays: Vec<_> = standing.into_values().filter(|one| !one.is_going).collect();
    let ids: Vec<NamespaceId> = strays.iter().filter_map(|stray| stray.id).collect();
    let rows = namespaces.find_among(&ids).await?;
    let removed = namespaces.removed_among(&ids).await?;
    let with_row: HashSet<NamespaceId> = rows.iter().map(|row| row.id).collect();
    let removed: HashMap<NamespaceId, &Namespace> =
        removed.iter().map(|row| (row.id, row)).collect();
    for stray in strays {
        let Some(id) = stray.id.filter(|id| !with_row.contains(id)) else {
            continue;
        };
        match removed.get(&id) {
            Some(row)
                if row.cluster == *cluster
                    && row.kubernetes_namespace.as_str() == stray.object.name =>
            {
                compared.deleted.push(stray);
            }
            // It went elsewhere, under this name or another: nobody deleted this one.
            _ => compared.unknown.push(held(stray, id, now)),
        }
    }
    let is_elsewhere = |row: &Namespace| row.cluster != *cluster;
    compared.elsewhere = rows.into_iter().filter(is_elsewhere).collect();
    Ok(compared)
}

impl Comparison {
    fn note(&mut self, row: Namespace, found: Option<&LocatedNamespace>, now: OffsetDateTime) {
        let is_whole = found.is_some_and(|found| found.is_whole && found.id == Some(row.id));
        if row.status != NamespaceStatus::Active {
            self.unsettled.push(row);
        } else if !is_whole && row.updated_at < now {
            // What changed since may have been looked at half made.
            // What is going does not stand any more, either.
            if found.is_none_or(|found| found.is_going) {
                self.absent.insert(row.id);
            }
            self.drifted.push(row);
        }
    }
}

fn held(located: LocatedNamespace, id: NamespaceId, now: OffsetDateTime) -> HeldNamespace {
    HeldNamespace {
        cluster: located.cluster,
        kubernetes_namespace: KubernetesNamespaceName::from_stored(located.object.name),
        kind: HeldKind::Held,
        uid: Some(located.object.uid),
        namespace_id: id,
        account_id: located.account_id,
        first_seen_at: now,
        wanted: None,
    }
}

/// The same for a row whose namespace does not stand.
pub(crate) fn missing(row: &Namespace, now: OffsetDateTime) -> HeldNamespace {
    HeldNamespace {
        cluster: row.cluster.clone(),
        kubernetes_namespace: row.kubernetes_namespace.clone(),
        kind: HeldKind::Missing,
        uid: None,
        namespace_id: row.id,
        account_id: Some(row.account_id),
        first_seen_at: now,
        wanted: None,
    }
}
