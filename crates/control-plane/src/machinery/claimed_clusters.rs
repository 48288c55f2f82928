//! Clusters in which nothing is done but where this database acts (contract R9).

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use remotegpu_namespaces::{
    ClaimState, Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus,
    CredentialIdentity, CredentialMint, IdentityObjects, IdentityPage, ListPlace, LocatedIdentity,
    LocatedNamespace, MintError, MintedToken, Namespace, NamespaceProvisioner, PlainClusterToken,
    QuotaUse, Removal, UsageReader,
};
use time::Duration;

use crate::ClaimGate;

/// The ports of the clusters, behind the gate: whoever gets these cannot forget to ask
/// it. Where the gate is closed a cluster counts as one that is away.
#[derive(Debug)]
pub struct ClaimedClusters<C> {
    clusters: Arc<C>,
    gate: Arc<ClaimGate>,
}

/// Why nothing was asked of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing is done in the cluster, because its claim is {}", .0.as_str())]
pub struct ClaimNotHeld(pub ClaimState);

impl<C> ClaimedClusters<C> {
    /// The clusters behind this gate.
    pub fn new(clusters: Arc<C>, gate: Arc<ClaimGate>) -> Self {
        Self { clusters, gate }
    }

    /// The clusters, if anything may be done in this one.
    fn in_cluster(&self, cluster: &ClusterName) -> Result<&C, ClusterError> {
        let state = self.gate.state(cluster);
        if state.may_act() {
            return Ok(&self.clusters);
        }
        let source: Box<dyn Error + Send + Sync> = Box::new(ClaimNotHeld(state));
        Err(ClusterError::Unavailable(Some(source)))
    }
}

impl<C: ClusterDirectory> ClusterDirectory for ClaimedClusters<C> {
    fn list(&self) -> Vec<Cluster> {
        self.clusters.list()
    }

    fn find(&self, name: &ClusterName) -> Option<Cluster> {
        self.clusters.find(name)
    }

    fn status(&self, name: &ClusterName) -> ClusterStatus {
        if self.claim(name).may_act() || self.clusters.find(name).is_none() {
            self.clusters.status(name)
        } else {
            ClusterStatus::Unavailable
        }
    }

    fn is_given_up(&self, name: &ClusterName) -> bool {
        self.clusters.is_given_up(name)
    }

    fn claim(&self, name: &ClusterName) -> ClaimState {
        self.gate.state(name)
    }
}

#[async_trait]
impl<C: NamespaceProvisioner> NamespaceProvisioner for ClaimedClusters<C> {
    async fn provision(&self, namespace: &Namespace) -> Result<(), ClusterError> {
        let clusters = self.in_cluster(&namespace.cluster)?;
        clusters.provision(namespace).await
    }

    async fn remove(&self, namespace: &Namespace) -> Result<Removal, ClusterError> {
        let clusters = self.in_cluster(&namespace.cluster)?;
        clusters.remove(namespace).await
    }

    async fn survey(&self, cluster: &ClusterName) -> Result<Vec<LocatedNamespace>, ClusterError> {
        self.in_cluster(cluster)?.survey(cluster).await
    }

    async fn discard(&self, located: &LocatedNamespace) -> Result<(), ClusterError> {
        let clusters = self.in_cluster(&located.cluster)?;
        // Whoever found it has no row of it to go by: it takes a claim that counts.
        if !self.gate.state(&located.cluster).may_remove() {
            return Err(ClusterError::Refused {
                reason: "without a claim nothing is removed there".to_owned(),
            });
        }
        clusters.discard(located).await
    }
}

#[async_trait]
impl<C: UsageReader> UsageReader for ClaimedClusters<C> {
    async fn usage(&self, namespace: &Namespace) -> Result<Vec<QuotaUse>, ClusterError> {
        let clusters = self.in_cluster(&namespace.cluster)?;
        clusters.usage(namespace).await
    }
}

#[async_trait]
impl<C: CredentialMint> CredentialMint for ClaimedClusters<C> {
    async fn make(&self, identity: &CredentialIdentity) -> Result<(), ClusterError> {
        let clusters = self.in_cluster(&identity.cluster)?;
        clusters.make(identity).await
    }

    async fn mint(
        &self,
        identity: &CredentialIdentity,
        lifetime: Duration,
    ) -> Result<MintedToken, MintError> {
        let clusters = self.in_cluster(&identity.cluster)?;
        clusters.mint(identity, lifetime).await
    }

    async fn opens(
        &self,
        identity: &CredentialIdentity,
        token: &PlainClusterToken,
    ) -> Result<bool, ClusterError> {
        let clusters = self.in_cluster(&identity.cluster)?;
        clusters.opens(identity, token).await
    }

    async fn locate(&self, identity: &CredentialIdentity) -> Result<LocatedIdentity, ClusterError> {
        let clusters = self.in_cluster(&identity.cluster)?;
        clusters.locate(identity).await
    }

    async fn remove(&self, located: &LocatedIdentity) -> Result<(), ClusterError> {
        let clusters = self.in_cluster(&located.cluster)?;
        clusters.remove(located).await
    }

    async fn list(
        &self,
        cluster: &ClusterName,
        kind: IdentityObjects,
        place: Option<&ListPlace>,
    ) -> Result<IdentityPage, ClusterError> {
        self.in_cluster(cluster)?.list(cluster, kind, place).await
    }
}
