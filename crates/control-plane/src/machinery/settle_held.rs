//! What the operator wants of held namespaces is done (contract R8).

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, DueWork, HeldNamespace, HeldNamespaceRepository,
    KubernetesNamespaceName, LocatedNamespace, LocatedObject, NamespaceProvisioner,
    NamespaceRepository, Tried, WantedOfHeld,
};
use remotegpu_primitives::StoreError;
use tokio::time::Instant;

use crate::{
    ReconcilerPorts, SweepError, WorkCounts, WorkOutcome,
    machinery::{
        repair_namespace::repair_namespace,
        work::{KeyState, Work},
    },
};

/// How often it is looked for.
const POLL: Duration = Duration::from_secs(1);
/// How long one is rested from that failed.
const REST: Duration = Duration::from_secs(5);
/// How long one is left alone that was begun: longer than it may take.
const CLAIM: Duration = Duration::from_mins(1);
/// How many of a cluster are worked on at the same time that are new, and how many that
/// were tried before.
const PLACES: usize = 4;

/// What that needs.
#[derive(Clone, Copy)]
pub struct HeldPorts<'a> {
    /// What is wanted.
    pub held: &'a dyn HeldNamespaceRepository,
    /// The rows of what is missing.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Where this database acts.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where it is done.
    pub provisioner: &'a dyn NamespaceProvisioner,
}

/// What is wanted where this database may remove.
pub async fn list_wanted(ports: HeldPorts<'_>) -> Result<Vec<HeldNamespace>, StoreError> {
    let mut wanted = ports.held.list_wanted().await?;
    wanted.retain(|held| ports.clusters.claim(&held.cluster).may_remove());
    Ok(wanted)
}

/// Does what is wanted of one of these. That two instances do is no harm, because each
/// step is one that may be repeated.
pub async fn settle_held(ports: HeldPorts<'_>, held: &HeldNamespace) -> Result<(), SweepError> {
    settle(ports, held).await?;
    Ok(ports.held.settle_held(held).await?)
}

async fn settle(ports: HeldPorts<'_>, held: &HeldNamespace) -> Result<(), SweepError> {
    match held.wanted {
        Some(WantedOfHeld::Delete) => Ok(discard(ports, held).await?),
        Some(WantedOfHeld::Restore) => {
            let rows = ports.namespaces.find_among(&[held.namespace_id]).await?;
            for row in rows.iter().filter(|row| row.cluster == held.cluster) {
                repair_namespace(ports.namespaces, ports.provisioner, row).await?;
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// By its UID, so that nothing goes but the very namespace that the operator saw.
async fn discard(ports: HeldPorts<'_>, held: &HeldNamespace) -> Result<(), ClusterError> {
    let Some(uid) = &held.uid else {
        return Ok(());
    };
    let located = LocatedNamespace {
        id: Some(held.namespace_id),
        account_id: held.account_id,
        cluster: held.cluster.clone(),
        object: LocatedObject {
            namespace: String::new(),
            name: held.kubernetes_namespace.as_str().to_owned(),
            uid: uid.clone(),
        },
        is_whole: false,
        is_going: false,
    };
    ports.provisioner.discard(&located).await
}

/// What is wanted of held namespaces as a kind of work. It is claimed within this
/// instance alone.
pub(crate) struct SettleHeld {
    ports: ReconcilerPorts,
    /// What was begun or has failed, and until when it is left alone.
    left_alone: Mutex<LeftAlone>,
}

type Place = (ClusterName, KubernetesNamespaceName);
type LeftAlone = HashMap<Place, Instant>;

fn place(held: &HeldNamespace) -> Place {
    (held.cluster.clone(), held.kubernetes_namespace.clone())
}

impl SettleHeld {
    pub(crate) fn new(ports: ReconcilerPorts) -> Self {
        Self {
            ports,
            left_alone: Mutex::default(),
        }
    }

    fn ports(&self) -> HeldPorts<'_> {
        HeldPorts {
            held: &*self.ports.held,
            namespaces: &*self.ports.namespaces,
            clusters: &*self.ports.clusters,
            provisioner: &*self.ports.provisioner,
        }
    }

    /// What is wanted and not left alone, and whether it was tried before.
    async fn wanted(&self) -> Result<Vec<(HeldNamespace, Tried)>, StoreError> {
        // Also as it was before the store is asked: what is settled meanwhile is still in
        // its answer, and is not begun once more.
        let before = self.left_alone().clone();
        let wanted = list_wanted(self.ports()).await?;
        let now = Instant::now();
        let mut left_alone = self.left_alone();
        if !left_alone.is_empty() {
            // What nobody wants any more is forgotten.
            let places: HashSet<Place> = wanted.iter().map(place).collect();
            left_alone.retain(|place, until| *until > now || places.contains(place));
        }
        let due = wanted.into_iter().filter_map(|held| {
            let place = place(&held);
            let until = before.get(&place).max(left_alone.get(&place));
            let tried = match until {
                None => Tried::Never,
                Some(until) if *until <= now => Tried::Before,
                Some(_) => return None,
            };
            Some((held, tried))
        });
        Ok(due.collect())
    }

    fn leave_alone(&self, held: &HeldNamespace, pause: Duration) {
        self.left_alone()
            .insert(place(held), Instant::now() + pause);
    }

    fn left_alone(&self) -> MutexGuard<'_, LeftAlone> {
        self.left_alone
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Work<ClusterName> for SettleHeld {
    type Piece = HeldNamespace;

    fn places(&self, _: Tried) -> usize {
        PLACES
    }

    fn state_of(&self, cluster: &ClusterName) -> KeyState {
        KeyState::of_cluster(&*self.ports.clusters, cluster)
    }

    fn counts(&self) -> &WorkCounts {
        &self.ports.counts.held
    }

    async fn due(&self) -> Result<Vec<DueWork>, StoreError> {
        let wanted = self.wanted().await?.into_iter();
        let due: HashSet<DueWork> = wanted
            .map(|(held, tried)| DueWork {
                key: held.cluster,
                tried,
            })
            .collect();
        Ok(due.into_iter().collect())
    }

    async fn claim(&self, due: &DueWork, limit: u32) -> Result<Vec<Self::Piece>, StoreError> {
        let wanted = self.wanted().await?.into_iter();
        let claimed: Vec<HeldNamespace> = wanted
            .filter(|(held, tried)| held.cluster == due.key && *tried == due.tried)
            .map(|(held, _)| held)
            .take(limit.try_into().unwrap_or(usize::MAX))
            .collect();
        for held in &claimed {
            self.leave_alone(held, CLAIM);
        }
        Ok(claimed)
    }

    async fn act(&self, held: Self::Piece) -> WorkOutcome {
        match settle_held(self.ports(), &held).await {
            Ok(()) => {
                self.left_alone().remove(&place(&held));
                WorkOutcome::Done
            }
            Err(error) => {
                self.leave_alone(&held, REST);
                tracing::warn!(
                    cluster = %held.cluster,
                    kubernetes_namespace = %held.kubernetes_namespace,
                    wanted = held.wanted.map(WantedOfHeld::as_str),
                    error = &error as &dyn std::error::Error,
                    "what is wanted of a held namespace could not be done"
                );
                WorkOutcome::Failed
            }
        }
    }

    async fn wait(&self) {
        tokio::time::sleep(POLL).await;
    }
}
