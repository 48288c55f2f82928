//! The claim that the cluster in memory holds.

use async_trait::async_trait;
use remotegpu_namespaces::{
    Claim, ClaimVersion, ClusterClaims, ClusterError, ClusterName, ClusterUid, FoundClaim,
    StandingClaim, WriteClaim,
};

use super::TestCluster;

#[derive(Default)]
pub(super) struct HeldClaim {
    stands: Option<Claim>,
    version: u64,
    is_forbidden: bool,
}

impl TestCluster {
    /// The claim that stands there.
    pub fn claim(&self) -> Option<Claim> {
        self.state().claim.stands.clone()
    }

    /// Writes the claim behind the control plane's back, as a restore of the cluster
    /// or somebody else would.
    pub fn set_claim(&self, claim: Option<Claim>) {
        let mut state = self.state();
        state.claim.stands = claim;
        state.claim.version += 1;
    }

    /// Lets the control plane see and write the claim, or not.
    pub fn permit_claim(&self, permitted: bool) {
        self.state().claim.is_forbidden = !permitted;
    }

    /// Makes another cluster of it.
    pub fn set_uid(&self, uid: &str) {
        uid.clone_into(&mut self.state().uid);
    }
}

#[async_trait]
impl ClusterClaims for TestCluster {
    async fn read_claim(&self, cluster: &ClusterName) -> Result<FoundClaim, ClusterError> {
        let state = self.answering(cluster)?;
        Ok(FoundClaim {
            cluster: ClusterUid::new(state.uid.clone()),
            standing: match &state.claim.stands {
                _ if state.claim.is_forbidden => StandingClaim::NotPermitted,
                None => StandingClaim::Absent,
                Some(claim) => StandingClaim::Present {
                    claim: Some(claim.clone()),
                    version: ClaimVersion(state.claim.version.to_string()),
                },
            },
        })
    }

    async fn write_claim(
        &self,
        cluster: &ClusterName,
        claim: &Claim,
        over: Option<&ClaimVersion>,
    ) -> Result<WriteClaim, ClusterError> {
        let mut state = self.answering(cluster)?;
        if state.claim.is_forbidden {
            return Ok(WriteClaim::NotPermitted);
        }
        let stands = state.claim.stands.as_ref();
        let stands = stands.map(|_| ClaimVersion(state.claim.version.to_string()));
        if stands.as_ref() != over {
            return Ok(WriteClaim::Changed);
        }
        state.claim.stands = Some(claim.clone());
        state.claim.version += 1;
        Ok(WriteClaim::Written)
    }
}
