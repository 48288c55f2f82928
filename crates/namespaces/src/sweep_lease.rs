//! Who sweeps a cluster (contract R10).

use std::time::Duration;

use async_trait::async_trait;
use remotegpu_primitives::{InstanceId, StoreError};

use crate::ClusterName;

/// A store of leases on the sweeping of clusters: one instance at a time sweeps each.
/// They end by the store's own clock, because those of the instances may differ.
#[async_trait]
pub trait SweepLeaseRepository: Send + Sync {
    /// Takes the lease on a cluster that is free, or whose holder's time is over, and
    /// prolongs the holder's own: until this long after the statement. `false` where
    /// another instance holds it.
    async fn hold(
        &self,
        cluster: &ClusterName,
        holder: InstanceId,
        length: Duration,
    ) -> Result<bool, StoreError>;

    /// Gives up all leases of this instance.
    async fn release(&self, holder: InstanceId) -> Result<(), StoreError>;
}
