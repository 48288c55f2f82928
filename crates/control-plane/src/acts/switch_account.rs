//! A person acts for another account of theirs (contract A11).

use rand::CryptoRng;
use remotegpu_accounts::{Membership, SessionRepository, UserRepository};
use remotegpu_primitives::{AccountId, StoreError};
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// Has the caller's session act for that account, and answers what the user is there.
/// `None` where the user is no member of such an account, or it is suspended.
pub async fn switch_account(
    sessions: &dyn SessionRepository,
    users: &dyn UserRepository,
    caller: &Caller<Person<Anyone>>,
    id: AccountId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Option<Membership>, StoreError> {
    let (session, act) = (caller.context().session.id, caller.act(rng, now));
    if !sessions.switch_account(session, id, &act).await? {
        return Ok(None);
    }
    let memberships = users.memberships(caller.user().id).await?;
    let mut memberships = memberships.into_iter();
    Ok(memberships.find(|membership| membership.account.id == id))
}
