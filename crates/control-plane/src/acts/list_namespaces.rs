//! A person looks at the account's namespaces (contract section 4).

use remotegpu_namespaces::{Namespace, NamespaceRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Caller, Read};

/// A page of the account's namespaces, newest first; those that are being deleted as well.
pub async fn list_namespaces(
    namespaces: &dyn NamespaceRepository,
    caller: &Caller<Read>,
    page: PageRequest,
) -> Result<Page<Namespace>, StoreError> {
    namespaces.list(caller.account().id, page).await
}
