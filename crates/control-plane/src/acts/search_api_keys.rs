//! A person looks for some of the account's keys.

use remotegpu_keys::{ApiKey, ApiKeyRepository, KeyName};
use remotegpu_primitives::{Page, PageRequest, StoreError, is_unfit_in_a_name};

use crate::{Caller, Read};

/// A page of the account's keys that have this text in their name or shown prefix, newest
/// first; all of them where it is empty.
pub async fn search_api_keys(
    keys: &dyn ApiKeyRepository,
    caller: &Caller<Read>,
    text: &str,
    page: PageRequest,
) -> Result<Page<ApiKey>, StoreError> {
    let (account, text) = (caller.account().id, text.trim());
    if text.is_empty() {
        return keys.list(account, page).await;
    }
    if text.chars().count() > KeyName::MAX_CHARS || text.chars().any(is_unfit_in_a_name) {
        // No name and no prefix has this in it.
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    }
    keys.search(account, text, page).await
}
