//! The operator looks at the namespaces that wait for their word (contract R8).

use remotegpu_namespaces::{ClusterName, HeldNamespace, HeldNamespaceRepository};
use remotegpu_primitives::StoreError;

use crate::Operator;

/// What is held or missing: in one cluster, or in all.
pub async fn list_held(
    held: &dyn HeldNamespaceRepository,
    _operator: Operator,
    cluster: Option<&ClusterName>,
) -> Result<Vec<HeldNamespace>, StoreError> {
    held.list_held(cluster).await
}
