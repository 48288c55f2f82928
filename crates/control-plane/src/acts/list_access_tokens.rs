//! A member looks at access tokens (contract T5).

use remotegpu_access_tokens::{AccessToken, AccessTokenRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Caller, Person, Read, acts::find_access_token::tokens_of};

/// A page of the caller's tokens in the account, newest first; an admin's is of all
/// members'. Expired ones as well.
pub async fn list_access_tokens(
    tokens: &dyn AccessTokenRepository,
    caller: &Caller<Person<Read>>,
    page: PageRequest,
) -> Result<Page<AccessToken>, StoreError> {
    let account = caller.account().id;
    tokens.list(account, tokens_of(caller), page).await
}
