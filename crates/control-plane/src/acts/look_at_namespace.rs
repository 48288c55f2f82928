//! A person looks at one namespace, which may be on its way out (contract H2).

use remotegpu_namespaces::{Namespace, NamespaceRepository};
use remotegpu_primitives::{NamespaceId, StoreError};

use crate::{Caller, Read};

/// The namespace, until its cluster has let go of it; `None` where the account has no such
/// namespace.
pub async fn look_at_namespace(
    namespaces: &dyn NamespaceRepository,
    caller: &Caller<Read>,
    id: NamespaceId,
) -> Result<Option<Namespace>, StoreError> {
    namespaces.find(caller.account().id, id).await
}
