//! An admin ends a token of a service user (contract T8).

use rand::CryptoRng;
use remotegpu_accounts::ServiceUserRepository;
use remotegpu_primitives::{ServiceUserTokenId, StoreError, UserId};
use time::OffsetDateTime;

use crate::{Admin, Caller, Person};

/// Ends the token: it opens nothing any more. `false` where the account has no such service
/// user, or that no such token.
pub async fn delete_service_user_token(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    (id, token): (UserId, ServiceUserTokenId),
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    service_users.delete_token(account, id, token, &act).await
}
