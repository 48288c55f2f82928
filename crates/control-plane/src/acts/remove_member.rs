//! An admin ends somebody's membership (contract K15, T7).

use rand::CryptoRng;
use remotegpu_accounts::{KeysOfMaker, MadeBefore, MemberRepository};
use remotegpu_primitives::UserId;
use time::OffsetDateTime;

use crate::{Admin, Caller, ChangeMemberError, Person, Signals};

/// Ends somebody's membership. What they made in the account ends with it, or is the
/// caller's; their sessions for it end.
pub async fn remove_member(
    members: &dyn MemberRepository,
    signals: &Signals,
    caller: &Caller<Person<Admin>>,
    (id, take_over_keys): (UserId, bool),
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<MadeBefore, ChangeMemberError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let keys = match take_over_keys {
        true if id == caller.id() => return Err(ChangeMemberError::OwnKeys),
        true => KeysOfMaker::TakeOver(caller.id()),
        false => KeysOfMaker::Revoke,
    };
    let removed = members.remove(account, id, keys, &act).await?;
    let ((), before) = ChangeMemberError::unless_changed(removed)?;
    signals.wake_identities();
    Ok(before)
}
