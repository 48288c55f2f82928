//! A person looks for some of the account's keys.

use remotegpu_keys::{ApiKey, ApiKeyRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Caller, Read};

/// A page of the account's keys that have this text in their name or shown prefix, newest
/// first; all of them where it is empty.
pub async fn search_api_keys(
    keys: &dyn ApiKeyRepository,
    caller: &Caller<Read>,
    text: &str,
    page: PageRequest,
) -> Result<Page<ApiKey>, StoreError> {
    let account = caller.account().id;
    match text.trim() {
        "" => keys.list(account, page).await,
        text => keys.search(account, text, page).await,
    }
}
