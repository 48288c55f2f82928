//! An access token is deleted: it opens nothing any more, and is not there (contract T5).

use rand::CryptoRng;
use remotegpu_access_tokens::{AccessTokenRepository, TokenHandle};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Caller, Person, Read, acts::find_access_token::tokens_of};

/// Deletes the token; `false` where the account has no such token, or it is another
/// member's and the caller no admin.
pub async fn delete_access_token(
    tokens: &dyn AccessTokenRepository,
    caller: &Caller<Person<Read>>,
    handle: &TokenHandle,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    tokens
        .delete(account, tokens_of(caller), handle, &act)
        .await
}
