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
    if was_deleted(namespaces, row).await? {
        provisioner.remove(row).await?;
    }
    Ok(false)
}

/// Whether the row says that the namespace is to go, or has gone. That there is no row
/// says nothing: the database may be another one by now, and the namespace a tenant's
/// (contract R8).
pub(crate) async fn was_deleted(
    namespaces: &dyn NamespaceRepository,
    row: &Namespace,
) -> Result<bool, StoreError> {
    match namespaces.find(row.account_id, row.id).await? {
        Some(again) => Ok(again.status == NamespaceStatus::Deleting),
        None => Ok(!namespaces.removed_among(&[row.id]).await?.is_empty()),
    }
}

async fn is_active(
    namespaces: &dyn NamespaceRepository,
    row: &Namespace,
) -> Result<bool, StoreError> {
    let again = namespaces.find(row.account_id, row.id).await?;
    Ok(again.is_some_and(|again| again.status == NamespaceStatus::Active))
}
