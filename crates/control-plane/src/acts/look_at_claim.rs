//! The operator asks whether this database acts in a cluster (contract R9).

use remotegpu_namespaces::{ClaimState, ClusterName, StandingClaim, judge_claim};

use crate::{ClaimClusterPorts, ClaimError, Operator, machinery::verify_claim::may_be_taken};

/// Whether this database acts in the cluster, or takes it by itself as soon as a server
/// starts ([`ClaimState::Unknown`] for a cluster that nobody has claimed). Nothing is
/// changed.
pub async fn look_at_claim(
    ports: ClaimClusterPorts<'_>,
    _operator: Operator,
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
