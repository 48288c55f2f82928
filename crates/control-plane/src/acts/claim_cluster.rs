//! The operator has this database act in a cluster (contract R9).

use remotegpu_namespaces::{
    Claim, ClaimRepository, ClusterClaims, ClusterName, CredentialMint, FoundClaim,
    IdentityRepository, KnownClaim, NamespaceProvisioner, NamespaceRepository, StandingClaim,
    WriteClaim,
};
use time::OffsetDateTime;

use crate::{Operator, SweepError};

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

/// Takes the cluster over, whoever acts there: running servers of this database act
/// there within seconds, and all others stop. What is missing is noted by the next
/// sweep instead of being made anew.
pub async fn claim_cluster(
    ports: ClaimClusterPorts<'_>,
    _operator: Operator,
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

/// The claim in the cluster, and what the database knows of it.
pub(crate) async fn read(
    ports: ClaimClusterPorts<'_>,
    cluster: &ClusterName,
) -> Result<(FoundClaim, Option<KnownClaim>), SweepError> {
    let found = ports.clusters.read_claim(cluster).await?;
    Ok((found, ports.claims.known_claim(cluster).await?))
}
