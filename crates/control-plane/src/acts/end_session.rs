//! A person signs out somewhere else (contract A6).

use rand::CryptoRng;
use remotegpu_accounts::SessionRepository;
use remotegpu_primitives::{SessionId, StoreError};
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// Ends one of the caller's own sessions. `false` where they have no such session.
pub async fn end_session(
    sessions: &dyn SessionRepository,
    caller: &Caller<Person<Anyone>>,
    id: SessionId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let act = caller.act(rng, now);
    sessions.end_of(caller.user().id, id, &act).await
}
