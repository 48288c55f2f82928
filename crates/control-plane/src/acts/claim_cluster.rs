//! The operator has this database act in a cluster (contract R9).

use std::collections::HashSet;

use remotegpu_namespaces::{
    Claim, ClaimRepository, ClaimState, ClusterClaims, ClusterName, CredentialMint, FoundClaim,
    HeldNamespace, IdentityObjects, IdentityRepository, KnownClaim, Namespace,
    NamespaceProvisioner, NamespaceRepository, NamespaceStatus, StandingClaim, WriteClaim,
    judge_claim,
};
use remotegpu_primitives::IdentityId;
use time::OffsetDateTime;

use crate::{
    ClaimError, SweepError, machinery::compare_namespaces::compare_namespaces,
    machinery::verify_claim::may_be_taken,
};

/// How often a claim is written anew that somebody else came in between.
const ATTEMPTS: usize = 5;

/// What claiming needs. None of it is behind the gate, which is closed.
#[derive(Clone, Copy)]
pub struct ClaimClusterPorts<'a> {
    /// What the database knows of claims, and who it is.
    pub claims: &'a dyn ClaimRepository,
    /// The claims in the clusters.
    pub clusters: &'a dyn ClusterClaims,
    /// Which namespaces the database knows.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Which identities it knows.
    pub identities: &'a dyn IdentityRepository,
    /// Which namespaces stand.
    pub provisioner: &'a dyn NamespaceProvisioner,
    /// Which identities stand.
    pub mint: &'a dyn CredentialMint,
}

/// Nothing was claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimClusterError {
    /// The control plane has no right to the claim.
    #[error(
        "the control plane has no right to the claim there; have the cluster's administrator apply \
         what `remotegpu-api cluster manifest` prints"
    )]
    NotPermitted,
    /// No server has started on this database.
    #[error("no server has started on this database yet; start one, and claim then")]
    NeverStarted,
    /// Somebody else writes the claim all the time.
    #[error("somebody else writes the cluster's claim at the same time; stop the other servers")]
    Contended,
    /// The cluster or the store did not answer.
    #[error(transparent)]
    Failed(#[from] SweepError),
}

/// What a database finds in a cluster that it may claim, and what would come of it.
#[derive(Debug)]
pub struct ClaimPreview {
    /// Whether this database acts there now.
    pub state: ClaimState,
    /// The claim that stands there.
    pub claim: Option<Claim>,
    /// Stands there, and no row knows it: it would be held.
    pub held: Vec<HeldNamespace>,
    /// A row says that it is active, and it does not stand: it would be missing.
    pub missing: Vec<Namespace>,
    /// Stands, and lacks something that would be made anew; or was still to be made
    /// when the database was as it is now.
    pub made: Vec<Namespace>,
    /// What the cluster calls the namespaces that stand, and whose rows say that they
    /// were deleted: they would go.
    pub ended: Vec<String>,
    /// How many identities of keys stand there that no row knows: they would go, and
    /// the next mints make others.
    pub identities_ended: usize,
}

/// Whether this database acts in the cluster, or takes it by itself as soon as a server
/// starts ([`ClaimState::Unknown`] for a cluster that nobody has claimed). Nothing is
/// changed.
pub async fn look_at_claim(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
) -> Result<ClaimState, ClaimError> {
    let found = ports.clusters.read_claim(cluster).await?;
    let known = ports.claims.known_claim(cluster).await?;
    let state = match ports.claims.holder().await? {
        Some(holder) => judge_claim(&holder, known.as_ref(), &found),
        // No server has started on it yet: whoever has claimed the cluster is another.
        None => match found.standing {
            StandingClaim::Absent => ClaimState::Unclaimed,
            StandingClaim::NotPermitted => ClaimState::NotPermitted,
            StandingClaim::Present { .. } => ClaimState::Foreign,
        },
    };
    let is_free = state == ClaimState::Unclaimed
        && may_be_taken(ports.namespaces, ports.provisioner, cluster).await?;
    Ok(if is_free { ClaimState::Unknown } else { state })
}

/// Looks at a cluster, and says what would come of claiming it.
pub async fn preview_claim(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<ClaimPreview, ClaimClusterError> {
    let (found, known) = read(ports, cluster).await?;
    let holder = ports.claims.holder().await.map_err(SweepError::from)?;
    let holder = holder.ok_or(ClaimClusterError::NeverStarted)?;
    let state = judge_claim(&holder, known.as_ref(), &found);
    let compared = compare_namespaces(ports.namespaces, ports.provisioner, cluster, now).await?;
    let (missing, mut made): (Vec<_>, Vec<_>) = compared
        .drifted
        .into_iter()
        .partition(|row| compared.absent.contains(&row.id));
    let (going, making): (Vec<_>, Vec<_>) = compared
        .unsettled
        .into_iter()
        .partition(|row| row.status == NamespaceStatus::Deleting);
    made.extend(making);
    let deleted = compared.deleted.into_iter();
    let mut ended: Vec<String> = deleted.map(|located| located.object.name).collect();
    let going = going.iter().map(|row| row.kubernetes_namespace.as_str());
    ended.extend(going.map(str::to_owned));
    let claim = match found.standing {
        StandingClaim::Present { claim, .. } => claim,
        _ => None,
    };
    Ok(ClaimPreview {
        state,
        claim,
        held: compared.unknown,
        missing,
        made,
        ended,
        identities_ended: identities_ended(ports, cluster).await?,
    })
}

/// How many identities stand there that no row knows.
async fn identities_ended(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
) -> Result<usize, SweepError> {
    let mut unknown = HashSet::new();
    for kind in [IdentityObjects::ServiceAccounts, IdentityObjects::Bindings] {
        let mut place = None;
        loop {
            let page = ports.mint.list(cluster, kind, place.as_ref()).await?;
            let ids: Vec<IdentityId> = page.found.iter().filter_map(|found| found.id).collect();
            let known = ports.identities.known_among(&ids).await?;
            unknown.extend(ids.into_iter().filter(|id| !known.contains(id)));
            place = page.next;
            if place.is_none() {
                break;
            }
        }
    }
    Ok(unknown.len())
}

/// Takes the cluster over, whoever acts there: running servers of this database act
/// there within seconds, and all others stop. What is missing is noted by the next
/// sweep instead of being made anew.
pub async fn claim_cluster(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<(), ClaimClusterError> {
    let holder = ports.claims.holder().await.map_err(SweepError::from)?;
    let holder = holder.ok_or(ClaimClusterError::NeverStarted)?;
    for _ in 0..ATTEMPTS {
        let (found, known) = read(ports, cluster).await?;
        if found.standing == StandingClaim::NotPermitted {
            return Err(ClaimClusterError::NotPermitted);
        }
        // More than either side has ever seen, so that whoever was here before stops.
        let written = known.map_or(0, |known| known.counter);
        let counter = written.max(found.counter().unwrap_or(0)).saturating_add(1);
        let taken = KnownClaim {
            cluster: found.cluster.clone(),
            counter,
            look_for_missing: true,
            taken_at: now,
        };
        let taking = ports.claims.take_claim(cluster, &taken).await;
        taking.map_err(SweepError::from)?;
        let claim = Claim {
            holder: holder.clone(),
            counter,
            cluster: found.cluster.clone(),
        };
        let written = ports.clusters.write_claim(cluster, &claim, found.version());
        match written.await.map_err(SweepError::from)? {
            WriteClaim::Written => return Ok(()),
            WriteClaim::Changed => {}
            WriteClaim::NotPermitted => return Err(ClaimClusterError::NotPermitted),
        }
    }
    Err(ClaimClusterError::Contended)
}

async fn read(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
) -> Result<(FoundClaim, Option<KnownClaim>), SweepError> {
    let found = ports.clusters.read_claim(cluster).await?;
    Ok((found, ports.claims.known_claim(cluster).await?))
}
