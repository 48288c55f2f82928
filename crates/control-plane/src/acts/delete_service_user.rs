//! An admin ends a service user (contract K15, T8).

use rand::CryptoRng;
use remotegpu_accounts::{KeysOfMaker, MadeBefore, ServiceUserRepository};
use remotegpu_primitives::UserId;
use time::OffsetDateTime;

use crate::{Admin, Caller, ChangeMemberError, Person, Signals};

/// Ends a service user and its tokens. What it made ends with it, or is the caller's.
pub async fn delete_service_user(
    service_users: &dyn ServiceUserRepository,
    signals: &Signals,
    caller: &Caller<Person<Admin>>,
    (id, take_over_keys): (UserId, bool),
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<MadeBefore, ChangeMemberError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let keys = if take_over_keys {
        KeysOfMaker::TakeOver(caller.id())
    } else {
        KeysOfMaker::Revoke
    };
    let deleted = service_users.delete(account, id, keys, &act).await?;
    let ((), before) = ChangeMemberError::unless_changed(deleted)?;
    signals.wake_identities();
    Ok(before)
}
