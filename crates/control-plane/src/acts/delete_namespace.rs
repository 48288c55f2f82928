//! A namespace is let go; its credentials end at once (contract N5, N6).

use rand::CryptoRng;
use remotegpu_namespaces::{Namespace, NamespaceRepository};
use remotegpu_primitives::{NamespaceId, StoreError};
use time::OffsetDateTime;

use crate::{Caller, Signals, Write};

/// Marks the namespace as being deleted and wakes the reconciler. `None` where
/// the account has no such namespace.
pub async fn delete_namespace(
    namespaces: &dyn NamespaceRepository,
    signals: &Signals,
    caller: &Caller<Write>,
    id: NamespaceId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Option<Namespace>, StoreError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let deleting = namespaces.mark_deleting(account, id, &act).await?;
    signals.wake_identities();
    signals.wake_namespaces();
    Ok(deleting)
}
