//! The operator asks what would come of claiming a cluster (contract R9).

use std::collections::HashSet;

use remotegpu_namespaces::{
    Claim, ClaimState, ClusterName, HeldNamespace, IdentityObjects, Namespace, NamespaceStatus,
    StandingClaim, judge_claim,
};
use remotegpu_primitives::IdentityId;
use time::OffsetDateTime;

use crate::{
    ClaimClusterError, ClaimClusterPorts, Operator, SweepError, acts::claim_cluster::read,
    machinery::compare_namespaces::compare_namespaces,
};

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

/// Looks at a cluster, and says what would come of claiming it.
pub async fn preview_claim(
    ports: ClaimClusterPorts<'_>,
    _operator: Operator,
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
