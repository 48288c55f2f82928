//! A person looks at one key (contract K7).

use remotegpu_keys::{ApiKey, ApiKeyRepository};
use remotegpu_primitives::{ApiKeyId, StoreError};

use crate::{Caller, Read};

/// The key, whatever its state; `None` where the account has no such key.
pub async fn find_api_key(
    keys: &dyn ApiKeyRepository,
    caller: &Caller<Read>,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, StoreError> {
    keys.find(caller.account().id, id).await
}
