//! A key is renamed, or its scopes or expiry change (contract K4 to K12).

use rand::CryptoRng;
use remotegpu_keys::{ApiKey, ApiKeyChange, ApiKeyRepository, UpdateApiKey};
use remotegpu_primitives::{ApiKeyId, NamespaceId, StoreError};
use time::OffsetDateTime;

use crate::{Caller, Signals, Write};

/// The key stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateApiKeyError {
    /// The account has no such key.
    #[error("API key not found")]
    NotFound,
    /// The key is revoked or expired.
    #[error("Revoked or expired keys cannot be modified")]
    NotActive,
    /// The end is not in the future.
    #[error("expires_at must be in the future")]
    ExpiryNotInFuture,
    /// Scopes name what is no living namespace of the account.
    #[error("Every namespace ID must be a namespace of this account")]
    ForeignNamespaces(Vec<NamespaceId>),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes an active key of the account. Cluster identities that lose their
/// reason end with it.
pub async fn update_api_key(
    keys: &dyn ApiKeyRepository,
    signals: &Signals,
    caller: &Caller<Write>,
    id: ApiKeyId,
    change: &ApiKeyChange,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<ApiKey, UpdateApiKeyError> {
    if change.expires_at.flatten().is_some_and(|end| end <= now) {
        return Err(UpdateApiKeyError::ExpiryNotInFuture);
    }
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let updated = match keys.update(account, id, change, &act).await? {
        UpdateApiKey::Updated(key) => key,
        UpdateApiKey::NotFound => return Err(UpdateApiKeyError::NotFound),
        UpdateApiKey::NotActive => return Err(UpdateApiKeyError::NotActive),
        UpdateApiKey::ForeignNamespaces(ids) => {
            return Err(UpdateApiKeyError::ForeignNamespaces(ids));
        }
    };
    signals.wake_identities();
    Ok(updated)
}
