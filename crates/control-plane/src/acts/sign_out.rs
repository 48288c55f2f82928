//! A person signs out (contract A6).

use rand::CryptoRng;
use remotegpu_accounts::SessionRepository;
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// Ends the caller's session at once, everywhere.
pub async fn sign_out(
    sessions: &dyn SessionRepository,
    caller: &Caller<Person<Anyone>>,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let session = caller.context().session.id;
    sessions.delete(session, &caller.act(rng, now)).await
}
