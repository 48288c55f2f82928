//! Which namespaces that scopes name are not the account's (contract K12).

use remotegpu_namespaces::{NamespaceRepository, NamespaceStatus};
use remotegpu_primitives::{NamespaceId, StoreError};
use remotegpu_scopes::Scopes;

use crate::{Caller, Write};

/// Those that are not living ones of the caller's account. For what a refusal says: who
/// writes scopes down judges them again, in the transaction that does.
pub async fn find_foreign_namespaces(
    namespaces: &dyn NamespaceRepository,
    caller: &Caller<Write>,
    scopes: &Scopes,
) -> Result<Vec<NamespaceId>, StoreError> {
    let named: Vec<NamespaceId> = scopes.namespace_ids().collect();
    if named.is_empty() {
        return Ok(named);
    }
    let (found, account) = (namespaces.find_among(&named).await?, caller.account().id);
    let is_own = |id: &NamespaceId| {
        found.iter().any(|namespace| {
            namespace.id == *id
                && namespace.account_id == account
                && namespace.status != NamespaceStatus::Deleting
        })
    };
    Ok(named.into_iter().filter(|id| !is_own(id)).collect())
}
