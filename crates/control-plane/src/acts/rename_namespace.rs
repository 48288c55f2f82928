//! A namespace gets another name; what its cluster calls it stays (contract N6).

use rand::CryptoRng;
use remotegpu_namespaces::{Namespace, NamespaceName, NamespaceRepository, RenameNamespace};
use remotegpu_primitives::{NamespaceId, StoreError};
use time::OffsetDateTime;

use crate::{Caller, Write};

/// The namespace keeps its name.
#[derive(Debug, thiserror::Error)]
pub enum RenameNamespaceError {
    /// The account has no such namespace, or it is being deleted.
    #[error("There is no such namespace")]
    NotFound,
    /// The namespace is not active yet.
    #[error("The namespace is not ready yet")]
    NotReady,
    /// The account has another namespace of this name.
    #[error("The account already has a namespace of this name")]
    NameTaken,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Renames an active namespace of the account.
pub async fn rename_namespace(
    namespaces: &dyn NamespaceRepository,
    caller: &Caller<Write>,
    id: NamespaceId,
    name: &NamespaceName,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Namespace, RenameNamespaceError> {
    let act = caller.act(rng, now);
    let renamed = namespaces.rename(caller.account().id, id, name, &act);
    match renamed.await? {
        RenameNamespace::Renamed(namespace) => Ok(namespace),
        RenameNamespace::NotFound => Err(RenameNamespaceError::NotFound),
        RenameNamespace::NotReady => Err(RenameNamespaceError::NotReady),
        RenameNamespace::NameTaken => Err(RenameNamespaceError::NameTaken),
    }
}
