//! What identities stand on: a living secret of a key that may, in an account that is
//! not suspended, and an active namespace of that account (contract X9, X11).

use remotegpu_keys::PresentedKey;
use remotegpu_namespaces::NamespaceStatus;
use remotegpu_primitives::NamespaceId;
use time::OffsetDateTime;

use crate::{
    api_keys::PresentedRow,
    types::{DbTime, DbUuid},
};

/// Of a namespace: account, status, when it was removed.
pub type NamespaceState = (DbUuid, String, Option<DbTime>);

/// An identity, its namespace, that one's state, and its key.
pub type Justification = (DbUuid, DbUuid, NamespaceState, PresentedRow);

/// Identities with all that they stand on: a [`Justification`] each.
macro_rules! justifications {
    () => {
        $crate::api_keys::join_key!(
            credential_identities::table
                .inner_join(
                    namespaces::table.on(namespaces::id.eq(credential_identities::namespace_id)),
                )
                .inner_join(
                    key_secrets::table.on(key_secrets::id.eq(credential_identities::secret_id)),
                )
        )
        .select((
            credential_identities::id,
            namespaces::id,
            (
                namespaces::account_id,
                namespaces::status,
                namespaces::removed_at,
            ),
            $crate::api_keys::presented_columns!(),
        ))
    };
}

pub(crate) use justifications;

/// Whether key, secret, account and namespace allow an identity at `now`
/// (contract X9, X11).
pub fn justified(
    key: &PresentedKey,
    namespace: NamespaceId,
    (owner, status, removed_at): &NamespaceState,
    now: OffsetDateTime,
) -> bool {
    key.check(now).is_ok()
        && key.key.scopes.allow_kubernetes_exec(namespace)
        && *owner == DbUuid::from(key.key.account_id)
        && status == NamespaceStatus::Active.as_str()
        && removed_at.is_none()
}
