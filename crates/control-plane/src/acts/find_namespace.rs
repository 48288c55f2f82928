//! A person looks at one namespace (contract N6).

use remotegpu_namespaces::{Namespace, NamespaceRepository, NamespaceStatus};
use remotegpu_primitives::{NamespaceId, StoreError};

use crate::{Caller, Read};

/// The namespace; `None` where the account has no such namespace, or one that is being
/// deleted: it does not exist any more.
pub async fn find_namespace(
    namespaces: &dyn NamespaceRepository,
    caller: &Caller<Read>,
    id: NamespaceId,
) -> Result<Option<Namespace>, StoreError> {
    let found = namespaces.find(caller.account().id, id).await?;
    Ok(found.filter(|namespace| namespace.status != NamespaceStatus::Deleting))
}
