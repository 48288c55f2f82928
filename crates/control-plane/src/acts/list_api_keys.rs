//! A person looks at the account's keys (contract section 3).

use remotegpu_keys::{ApiKey, ApiKeyRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Caller, Read};

/// A page of the account's keys, newest first; revoked and expired ones as well.
pub async fn list_api_keys(
    keys: &dyn ApiKeyRepository,
    caller: &Caller<Read>,
    page: PageRequest,
) -> Result<Page<ApiKey>, StoreError> {
    keys.list(caller.account().id, page).await
}
