//! From a text in a header to a key that opens something (contract A4).

use remotegpu_keys::{ApiKeyRepository, KeyRefused, MalformedKey, PlainApiKey, PresentedKey};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::KeyUses;

/// No key, or one that opens nothing: callers answer all but the last alike.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateApiKeyError {
    /// The text can be no key; no query was made.
    #[error(transparent)]
    Malformed(#[from] MalformedKey),
    /// Nobody has this key.
    #[error("the key is unknown")]
    Unknown,
    /// The key opens nothing (any more).
    #[error(transparent)]
    Refused(#[from] KeyRefused),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds the key that `text` is, checks that it opens something at `now`, and
/// notes its use.
pub async fn authenticate_api_key(
    keys: &dyn ApiKeyRepository,
    uses: &KeyUses,
    text: &str,
    now: OffsetDateTime,
) -> Result<PresentedKey, AuthenticateApiKeyError> {
    let plain = PlainApiKey::parse(text)?;
    let presented = keys
        .find_by_hash(&plain.hash())
        .await?
        .ok_or(AuthenticateApiKeyError::Unknown)?;
    if let Err(refused) = presented.check(now) {
        // The caller is told nothing of this; who runs the server asks for it.
        tracing::debug!(
            key = %presented.key.id,
            account = %presented.key.account_id,
            reason = %refused,
            "an API key was refused"
        );
        return Err(refused.into());
    }
    uses.note(presented.key.id, now);
    Ok(presented)
}
