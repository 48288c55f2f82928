//! Somebody ends their own membership (contract K15, T7).

use rand::CryptoRng;
use remotegpu_accounts::{KeysOfMaker, MadeBefore, MemberRepository};
use time::OffsetDateTime;

use crate::{Anyone, Caller, ChangeMemberError, Person, Signals};

/// Ends the caller's membership in the account that they act for, with what they made
/// there and their sessions for it, the one that asks included.
pub async fn leave_account(
    members: &dyn MemberRepository,
    signals: &Signals,
    caller: &Caller<Person<Anyone>>,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<MadeBefore, ChangeMemberError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let left = members.remove(account, caller.id(), KeysOfMaker::Revoke, &act);
    let ((), before) = ChangeMemberError::unless_changed(left.await?)?;
    signals.wake_identities();
    Ok(before)
}
