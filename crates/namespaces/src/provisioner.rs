//! What makes a cluster have a namespace, or not have it (contract N5).

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, NamespaceId};

use crate::{ClusterError, ClusterName, LocatedObject, Namespace};

/// Makes a cluster have a namespace, or not have it. Every method may be called
/// again after any failure and continues where it stopped.
#[async_trait]
pub trait NamespaceProvisioner: Send + Sync {
    /// Makes the namespace with all that a tenant's namespace holds; success when
    /// all of it stands and counts. Never adopts what is not ours.
    async fn provision(&self, namespace: &Namespace) -> Result<(), ClusterError>;

    /// Asks the cluster to remove the namespace.
    async fn remove(&self, namespace: &Namespace) -> Result<Removal, ClusterError>;

    /// The namespaces that the cluster holds under our labels. It costs a few
    /// lists of the whole cluster, however many there are.
    async fn survey(&self, cluster: &ClusterName) -> Result<Vec<LocatedNamespace>, ClusterError>;

    /// Asks the cluster to remove a namespace that was found, only while it is
    /// the very one.
    async fn discard(&self, located: &LocatedNamespace) -> Result<(), ClusterError>;
}

/// How far the removal of a namespace is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The cluster has let go of it.
    Gone,
    /// It is going.
    Going {
        /// What holds it, in the cluster's own words, where the cluster says so.
        held_by: Option<String>,
    },
}

/// A namespace as it was found in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedNamespace {
    /// The namespace that its labels name, where they name one.
    pub id: Option<NamespaceId>,
    /// The account that its labels name, where they name one.
    pub account_id: Option<AccountId>,
    /// The cluster it stands in.
    pub cluster: ClusterName,
    /// The very object; it stands in no namespace.
    pub object: LocatedObject,
    /// Whether it holds all that a tenant's namespace holds, as it should be.
    pub is_whole: bool,
    /// Whether it is on its way out.
    pub is_going: bool,
}
