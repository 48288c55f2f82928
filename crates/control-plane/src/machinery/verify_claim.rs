//! Whether this database acts in a cluster is found out, again and again (contract
//! R9): before anything is done there, every few seconds, and when the cluster was
//! away. Whoever sweeps raises the claim, by which a copy or a restored database shows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use remotegpu_namespaces::{
    Claim, ClaimHolder, ClaimRepository, ClaimState, ClusterClaims, ClusterDirectory, ClusterError,
    ClusterName, ClusterStatus, FoundClaim, KnownClaim, NamespaceProvisioner, NamespaceRepository,
    WriteClaim, judge_claim, may_take,
};
use remotegpu_primitives::{Clock, StoreError};
use tokio::time::Instant;

use crate::ClaimGate;

/// How often a claim that is held is looked at, so that a restored database is found
/// out within this time.
const EVERY: Duration = Duration::from_secs(5);
/// How often one that is not: what the operator has claimed is to begin at once.
const EVERY_CLOSED: Duration = Duration::from_secs(1);
/// How often a cluster without a claim is looked at, which takes a survey of it.
const EVERY_UNCLAIMED: Duration = Duration::from_secs(4);
/// How often it is seen whether a cluster has gone away meanwhile.
const GLANCE: Duration = Duration::from_millis(250);
/// For how long the last word counts while the question fails, though the cluster is
/// up: one answer that is bad is no reason to stop.
const GRACE: Duration = Duration::from_secs(15);
/// How often a raise is begun anew that somebody else came in between.
const ATTEMPTS: usize = 5;

/// What finding out needs.
#[derive(Clone)]
pub struct ClaimPorts {
    /// What the database knows of claims, and who it is.
    pub claims: Arc<dyn ClaimRepository>,
    /// The claims in the clusters.
    pub clusters: Arc<dyn ClusterClaims>,
    /// Which namespaces the database knows.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// Which namespaces stand; not behind the gate, which is closed still.
    pub provisioner: Arc<dyn NamespaceProvisioner>,
    /// Which clusters there are, and whether they answer; not behind the gate either.
    pub directory: Arc<dyn ClusterDirectory>,
    /// Where it is noted what was found out.
    pub gate: Arc<ClaimGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One look at both sides.
struct Look {
    holder: Option<ClaimHolder>,
    known: Option<KnownClaim>,
    found: FoundClaim,
    state: ClaimState,
}

/// The cluster first, the database second: the other way round a raise in between
/// would look like a restored database.
async fn look(ports: &ClaimPorts, cluster: &ClusterName) -> Result<Look, ClaimError> {
    let found = ports.clusters.read_claim(cluster).await?;
    let known = ports.claims.known_claim(cluster).await?;
    let holder = ports.claims.holder().await?;
    let state = match &holder {
        Some(holder) => judge_claim(holder, known.as_ref(), &found),
        // No server has started on this database.
        None => ClaimState::Unknown,
    };
    Ok(Look {
        holder,
        known,
        found,
        state,
    })
}

/// Finds out whether this database acts in the cluster, and takes a cluster without a
/// claim if it may.
pub async fn verify_claim(
    ports: &ClaimPorts,
    cluster: &ClusterName,
) -> Result<ClaimState, ClaimError> {
    let mut seen = look(ports, cluster).await?;
    if !seen.state.may_act() {
        // Two raises may have come in between the two reads.
        seen = look(ports, cluster).await?;
    }
    if seen.state == ClaimState::Unclaimed {
        return take_unclaimed(ports, cluster, seen).await;
    }
    Ok(seen.state)
}

async fn take_unclaimed(
    ports: &ClaimPorts,
    cluster: &ClusterName,
    seen: Look,
) -> Result<ClaimState, ClaimError> {
    let Some(holder) = seen.holder else {
        return Ok(ClaimState::Unknown);
    };
    let (namespaces, provisioner) = (&*ports.namespaces, &*ports.provisioner);
    if !may_be_taken(namespaces, provisioner, cluster).await? {
        return Ok(ClaimState::Unclaimed);
    }
    let before = seen.known.as_ref();
    let taken = KnownClaim {
        cluster: seen.found.cluster,
        counter: before.map_or(0, |known| known.counter) + 1,
        look_for_missing: before.is_some_and(|known| known.look_for_missing),
        taken_at: ports.clock.now(),
    };
    let known = before.map(|known| known.counter);
    if !ports.claims.take_unclaimed(cluster, &taken, known).await? {
        // Another instance, or this one's own sweep, was faster, and may have raised it.
        return Ok(look(ports, cluster).await?.state);
    }
    let claim = Claim {
        holder,
        counter: taken.counter,
        cluster: taken.cluster,
    };
    match ports.clusters.write_claim(cluster, &claim, None).await? {
        WriteClaim::Written => {
            tracing::info!(%cluster, "the cluster had no claim, and this database has taken it");
            Ok(ClaimState::Held)
        }
        // Another instance has, or somebody else.
        WriteClaim::Changed => Ok(look(ports, cluster).await?.state),
        WriteClaim::NotPermitted => Ok(ClaimState::NotPermitted),
    }
}

/// Whether a database that knows these namespaces takes the cluster if nobody has
/// claimed it.
pub(crate) async fn may_be_taken(
    namespaces: &dyn NamespaceRepository,
    provisioner: &dyn NamespaceProvisioner,
    cluster: &ClusterName,
) -> Result<bool, ClaimError> {
    let located = provisioner.survey(cluster).await?;
    let ids: Vec<_> = located.iter().filter_map(|located| located.id).collect();
    let rows = namespaces.find_among(&ids).await?;
    let names: HashSet<&str> = located
        .iter()
        .map(|located| located.object.name.as_str())
        .collect();
    let known = rows
        .iter()
        .filter(|row| row.cluster == *cluster && names.contains(row.kubernetes_namespace.as_str()));
    Ok(may_take(located.len(), known.count()))
}

/// Raises the claim, at the beginning of a sweep, and notes what was found out. Nothing
/// may be swept unless it is held, or cannot be for want of a right.
pub async fn raise_claim(
    ports: &ClaimPorts,
    cluster: &ClusterName,
) -> Result<ClaimState, ClaimError> {
    let state = raise(ports, cluster).await?;
    ports.gate.note(cluster, state);
    Ok(state)
}

async fn raise(ports: &ClaimPorts, cluster: &ClusterName) -> Result<ClaimState, ClaimError> {
    for _ in 0..ATTEMPTS {
        let seen = look(ports, cluster).await?;
        let (ClaimState::Held, Some(holder), Some(known), Some(counter)) =
            (seen.state, seen.holder, seen.known, seen.found.counter())
        else {
            // A bad word is looked at twice, and a cluster without a claim is taken.
            match verify_claim(ports, cluster).await? {
                ClaimState::Held => continue,
                state => return Ok(state),
            }
        };
        let to = counter + 1;
        // In the database first: if this dies in between, the database is one ahead,
        // which is never taken for a restore.
        let raised = ports.claims.raise_claim(cluster, known.counter, to).await?;
        if !raised {
            continue;
        }
        let over = seen.found.version();
        let claim = Claim {
            holder,
            counter: to,
            cluster: seen.found.cluster.clone(),
        };
        match ports.clusters.write_claim(cluster, &claim, over).await? {
            WriteClaim::Written => return Ok(ClaimState::Held),
            WriteClaim::Changed => {}
            WriteClaim::NotPermitted => return Ok(ClaimState::NotPermitted),
        }
    }
    // Others of ours raise it all the time; what counts is whose it is.
    verify_claim(ports, cluster).await
}

/// Finds out once about every cluster, and notes it.
pub async fn verify_claims(ports: &ClaimPorts) {
    let clusters = ports.directory.list().into_iter();
    let verified = clusters.map(|cluster| async move {
        let name = cluster.name;
        note(ports, &name, verify_claim(ports, &name).await, None);
    });
    join_all(verified).await;
}

/// Finds out about every cluster, each in its own time, until it is dropped.
pub async fn watch_claims(ports: &ClaimPorts) {
    let clusters = ports.directory.list().into_iter();
    join_all(clusters.map(|cluster| watch(ports, cluster.name))).await;
}

async fn watch(ports: &ClaimPorts, cluster: ClusterName) {
    let mut last = None;
    loop {
        last = note(ports, &cluster, verify_claim(ports, &cluster).await, last);
        rest(ports, &cluster).await;
    }
}

/// Notes what was found out; answers when something last was.
fn note(
    ports: &ClaimPorts,
    cluster: &ClusterName,
    verified: Result<ClaimState, ClaimError>,
    last: Option<Instant>,
) -> Option<Instant> {
    let error = match verified {
        Ok(state) => {
            ports.gate.note(cluster, state);
            return Some(Instant::now());
        }
        Err(error) => error,
    };
    // A cluster that was away may be another one when it is back.
    let is_away = ports.directory.status(cluster) == ClusterStatus::Unavailable;
    let counts = last.is_some_and(|last| last.elapsed() < GRACE);
    if is_away || !counts {
        if ports.gate.state(cluster) != ClaimState::Unknown {
            tracing::warn!(
                %cluster,
                error = &error as &dyn std::error::Error,
                "whether this database acts in a cluster could not be found out"
            );
        }
        ports.gate.note(cluster, ClaimState::Unknown);
    }
    last
}

/// Waits until it is time to look again, or the cluster goes away.
async fn rest(ports: &ClaimPorts, cluster: &ClusterName) {
    let state = ports.gate.state(cluster);
    let until = Instant::now()
        + match state {
            ClaimState::Held | ClaimState::NotPermitted => EVERY,
            ClaimState::Unclaimed => EVERY_UNCLAIMED,
            _ => EVERY_CLOSED,
        };
    while Instant::now() < until {
        tokio::time::sleep(GLANCE.min(until - Instant::now())).await;
        let is_away = ports.directory.status(cluster) == ClusterStatus::Unavailable;
        if is_away && state.may_act() {
            return;
        }
    }
}
