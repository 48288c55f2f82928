//! A namespace is let go; its credentials end at once (contract N5, N6).

use remotegpu_namespaces::{Namespace, NamespaceRepository};
use remotegpu_primitives::{AccountId, Act, NamespaceId, StoreError};

use crate::Signals;

/// Marks the namespace as being deleted and wakes the reconciler. `None` where
/// the account has no such namespace.
pub async fn delete_namespace(
    namespaces: &dyn NamespaceRepository,
    signals: &Signals,
    (account, id): (AccountId, NamespaceId),
    act: &Act,
) -> Result<Option<Namespace>, StoreError> {
    let deleting = namespaces.mark_deleting(account, id, act).await?;
    signals.wake_identities();
    signals.wake_namespaces();
    Ok(deleting)
}
