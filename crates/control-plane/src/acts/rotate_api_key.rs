//! A key gets a new secret; the old one may work on for a while (contract
//! section 3).

use rand::CryptoRng;
use remotegpu_keys::{ApiKeyRepository, PlainApiKey, RotateApiKey};
use remotegpu_primitives::{AccountId, Act, ApiKeyId, StoreError};
use time::Duration;

use crate::{
    IssuedApiKey, KeyChangeLimits, KeyChangesTooOften, Signals, acts::issue_api_key::new_secret,
};

/// The longest time that an old secret may work on.
pub const MAX_GRACE: Duration = Duration::DAY;

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
    keys: &dyn ApiKeyRepository,
    signals: &Signals,
    limits: &KeyChangeLimits,
    (account, id): (AccountId, ApiKeyId),
    grace: Duration,
    rng: &mut impl CryptoRng,
    act: &Act,
) -> Result<IssuedApiKey, RotateApiKeyError> {
    if !(Duration::ZERO..=MAX_GRACE).contains(&grace) {
        return Err(RotateApiKeyError::Grace);
    }
    let turn = limits.begin(account, act.at)?;
    let secret = PlainApiKey::generate(rng);
    let new = new_secret(&secret, rng, act.at);
    let rotated = match keys.rotate(account, id, &new, act.at + grace, act).await? {
        RotateApiKey::Rotated(key) => key,
        RotateApiKey::NotFound => return Err(RotateApiKeyError::NotFound),
        RotateApiKey::NotActive => return Err(RotateApiKeyError::NotActive),
    };
    turn.made();
    signals.wake_identities();
    Ok(IssuedApiKey {
        key: rotated,
        secret,
    })
}
