//! From a text in a header to a key that opens something (contract A4).

use remotegpu_keys::{
    ApiKeyRepository, HashedApiKey, KeyRefused, MalformedSecret, PlainApiKey, PresentedKey,
};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{KeyCache, KeyUses};

/// No key, or one that opens nothing: callers answer all but the last alike.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateApiKeyError {
    /// The text can be no key; no query was made.
    #[error(transparent)]
    Malformed(#[from] MalformedSecret),
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

/// What is known of a key without asking the store.
#[derive(Debug)]
pub enum RecalledApiKey {
    /// It was remembered, and opens something.
    Known(PresentedKey),
    /// The store must be asked for it, by [`authenticate_api_key`].
    NotKnown(HashedApiKey),
}

/// Takes `text` for a key and looks whether it is remembered. If it is, checks
/// that it opens something at `now`, and notes its use.
pub fn recall_api_key(
    cache: &KeyCache,
    uses: &KeyUses,
    text: &str,
    now: OffsetDateTime,
) -> Result<RecalledApiKey, AuthenticateApiKeyError> {
    let hash = PlainApiKey::parse(text)?.hash();
    let Some(recalled) = cache.recall(&hash) else {
        return Ok(RecalledApiKey::NotKnown(hash));
    };
    let presented = checked(recalled.presented(), now)?;
    if recalled.use_is_worth_noting(now) {
        uses.note(presented.key.id, now);
    }
    Ok(RecalledApiKey::Known(presented))
}

/// Finds the key with this hash, checks that it opens something at `now`, and
/// notes its use.
pub async fn authenticate_api_key(
    keys: &dyn ApiKeyRepository,
    uses: &KeyUses,
    hash: &HashedApiKey,
    now: OffsetDateTime,
) -> Result<PresentedKey, AuthenticateApiKeyError> {
    let presented = keys
        .find_by_hash(hash)
        .await?
        .ok_or(AuthenticateApiKeyError::Unknown)?;
    let presented = checked(presented, now)?;
    uses.note(presented.key.id, now);
    Ok(presented)
}

fn checked(presented: PresentedKey, now: OffsetDateTime) -> Result<PresentedKey, KeyRefused> {
    if let Err(refused) = presented.check(now) {
        // The caller is told nothing of this; who runs the server asks for it.
        tracing::debug!(
            key = %presented.key.id,
            account = %presented.key.account_id,
            reason = %refused,
            "an API key was refused"
        );
        return Err(refused);
    }
    Ok(presented)
}
