//! A member looks at one access token (contract T5).

use remotegpu_access_tokens::{AccessToken, AccessTokenRepository, TokenHandle, TokensOf};
use remotegpu_primitives::StoreError;

use crate::{Admin, Caller, Person, Read};

/// The token, whatever its state; `None` where the account has no such token, or it is
/// another member's and the caller no admin.
pub async fn find_access_token(
    tokens: &dyn AccessTokenRepository,
    caller: &Caller<Person<Read>>,
    handle: &TokenHandle,
) -> Result<Option<AccessToken>, StoreError> {
    let account = caller.account().id;
    tokens.find(account, tokens_of(caller), handle).await
}

/// Members see and end their own, admins all.
pub(crate) fn tokens_of(caller: &Caller<Person<Read>>) -> TokensOf {
    match caller.may::<Person<Admin>>() {
        Ok(_) => TokensOf::All,
        Err(_) => TokensOf::One(caller.id()),
    }
}
