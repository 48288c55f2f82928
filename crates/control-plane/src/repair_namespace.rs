//! One active namespace is put right in its cluster.

use remotegpu_namespaces::{Namespace, NamespaceProvisioner, NamespaceRepository, NamespaceStatus};
use remotegpu_primitives::StoreError;

use crate::SweepError;

/// Has the cluster hold all of an active namespace; answers whether it does. One that
/// is not active is left alone, and one that was deleted meanwhile is removed again.
pub(crate) async fn repair_namespace(
    namespaces: &dyn NamespaceRepository,
    provisioner: &dyn NamespaceProvisioner,
    row: &Namespace,
) -> Result<bool, SweepError> {
    if !is_active(namespaces, row).await? {
        return Ok(false);
    }
    let made = provisioner.provision(row).await;
    // Who deleted it meanwhile may have been done before there was anything to remove.
    if is_active(namespaces, row).await? {
        made?;
        return Ok(true);
    }
    provisioner.remove(row).await?;
    Ok(false)
}

async fn is_active(
    namespaces: &dyn NamespaceRepository,
    row: &Namespace,
) -> Result<bool, StoreError> {
    let again = namespaces.find(row.account_id, row.id).await?;
    Ok(again.is_some_and(|again| again.status == NamespaceStatus::Active))
}
