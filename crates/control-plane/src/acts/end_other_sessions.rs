//! A person signs out everywhere else (contract A6).

use rand::CryptoRng;
use remotegpu_accounts::SessionRepository;
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// Ends all of the caller's own sessions but the one that asks; answers how many.
pub async fn end_other_sessions(
    sessions: &dyn SessionRepository,
    caller: &Caller<Person<Anyone>>,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let (own, act) = (caller.context().session.id, caller.act(rng, now));
    sessions.end_others_of(caller.user().id, own, &act).await
}
