//! A key is revoked: it opens nothing any more, nor does what it has opened
//! (contract K6, K7, X9).

use rand::CryptoRng;
use remotegpu_keys::{ApiKey, ApiKeyRepository, RevokeApiKey};
use remotegpu_primitives::{ApiKeyId, StoreError};
use time::OffsetDateTime;

use crate::{Caller, Signals, Write};

/// The key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeApiKeyError {
    /// The account has no such key.
    #[error("API key not found")]
    NotFound,
    /// The key was revoked or expired before.
    #[error("Revoked or expired keys cannot be modified")]
    NotActive,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Revokes an active key of the account, and its cluster identities with it.
pub async fn revoke_api_key(
    keys: &dyn ApiKeyRepository,
    signals: &Signals,
    caller: &Caller<Write>,
    id: ApiKeyId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<ApiKey, RevokeApiKeyError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let revoked = match keys.revoke(account, id, &act).await? {
        RevokeApiKey::Revoked(key) => key,
        RevokeApiKey::NotFound => return Err(RevokeApiKeyError::NotFound),
        RevokeApiKey::NotActive => return Err(RevokeApiKeyError::NotActive),
    };
    signals.wake_identities();
    Ok(revoked)
}
