//! A key gets a new secret; the old one may work on for a while (contract
//! section 3).

use rand::CryptoRng;
use remotegpu_keys::{ApiKeyRepository, PlainApiKey, RotateApiKey};
use remotegpu_primitives::{ApiKeyId, StoreError};
use time::{Duration, OffsetDateTime};

use crate::{
    Caller, IssuedApiKey, KeyChangeLimits, KeyChangesTooOften, Signals, Write,
    acts::issue_api_key::new_secret,
};

/// The longest time that an old secret may work on.
const MAX_GRACE: Duration = Duration::DAY;

/// What rotating a key needs.
#[derive(Clone, Copy)]
pub struct RotateApiKeyPorts<'a> {
    /// The keys.
    pub keys: &'a dyn ApiKeyRepository,
    /// What wakes the reconciler.
    pub signals: &'a Signals,
    /// How often an account may do it.
    pub limits: &'a KeyChangeLimits,
}

/// The key has no new secret.
#[derive(Debug, thiserror::Error)]
pub enum RotateApiKeyError {
    /// The account has no such key.
    #[error("API key not found")]
    NotFound,
    /// The key is revoked or expired.
    #[error("Revoked or expired keys cannot be modified")]
    NotActive,
    /// The grace is not 0 to 86400 seconds.
    #[error("grace_seconds must be a number from 0 to 86400")]
    Grace,
    /// The account has changed keys too often.
    #[error(transparent)]
    TooOften(#[from] KeyChangesTooOften),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives an active key of the account a new secret; the old one works on for
/// `grace`.
pub async fn rotate_api_key(
    ports: RotateApiKeyPorts<'_>,
    caller: &Caller<Write>,
    id: ApiKeyId,
    grace: Duration,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<IssuedApiKey, RotateApiKeyError> {
    if !(Duration::ZERO..=MAX_GRACE).contains(&grace) {
        return Err(RotateApiKeyError::Grace);
    }
    let account = caller.account().id;
    let turn = ports.limits.begin(account, now)?;
    let secret = PlainApiKey::generate(rng);
    let new = new_secret(&secret, rng, now);
    let act = caller.act(rng, now);
    let rotated = ports.keys.rotate(account, id, &new, now + grace, &act);
    let rotated = match rotated.await? {
        RotateApiKey::Rotated(key) => key,
        RotateApiKey::NotFound => return Err(RotateApiKeyError::NotFound),
        RotateApiKey::NotActive => return Err(RotateApiKeyError::NotActive),
    };
    turn.made();
    ports.signals.wake_identities();
    Ok(IssuedApiKey {
        key: rotated,
        secret,
    })
}
