//! A key is issued (contract K1 to K12).

use rand::CryptoRng;
use remotegpu_keys::{
    ApiKey, ApiKeyRepository, InsertApiKey, KeyName, NewApiKey, NewKeySecret, PlainApiKey,
};
use remotegpu_primitives::{ApiKeyId, KeySecretId, NamespaceId, StoreError};
use remotegpu_scopes::Scopes;
use time::OffsetDateTime;

use crate::{Caller, KeyChangeLimits, KeyChangesTooOften, NotAllowed, Write};

/// What a key shall be.
#[derive(Debug, Clone)]
pub struct IssueApiKey {
    /// Its name.
    pub name: KeyName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// How many active keys an account may have that has no limit of its own.
    pub default_limit: u32,
}

/// A key with its secret, which is told once.
#[derive(Debug)]
pub struct IssuedApiKey {
    /// The key.
    pub key: ApiKey,
    /// The secret.
    pub secret: PlainApiKey,
}

/// No key was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueApiKeyError {
    /// The end is not in the future.
    #[error("expires_at must be in the future")]
    ExpiryNotInFuture,
    /// The account has as many active keys as it may have.
    #[error("The account's limit of active API keys is reached")]
    LimitReached,
    /// The account has changed keys too often.
    #[error(transparent)]
    TooOften(#[from] KeyChangesTooOften),
    /// Scopes name what is no living namespace of the account.
    #[error("Every namespace ID must be a namespace of this account")]
    ForeignNamespaces(Vec<NamespaceId>),
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key for the caller's account, in the name of its user.
pub async fn issue_api_key(
    keys: &dyn ApiKeyRepository,
    limits: &KeyChangeLimits,
    caller: &Caller<Write>,
    wanted: IssueApiKey,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<IssuedApiKey, IssueApiKeyError> {
    if wanted.expires_at.is_some_and(|end| end <= now) {
        return Err(IssueApiKeyError::ExpiryNotInFuture);
    }
    let turn = limits.begin(caller.account().id, now)?;
    let secret = PlainApiKey::generate(rng);
    let new = NewApiKey {
        id: ApiKeyId::generate(now, rng),
        account_id: caller.account().id,
        name: wanted.name,
        scopes: wanted.scopes,
        created_at: now,
        created_by: caller.id(),
        expires_at: wanted.expires_at,
        secret: new_secret(&secret, rng, now),
    };
    let act = caller.act(rng, now);
    match keys.insert(&new, wanted.default_limit, &act).await? {
        InsertApiKey::Inserted(key) => {
            turn.made();
            Ok(IssuedApiKey { key, secret })
        }
        InsertApiKey::LimitReached => Err(IssueApiKeyError::LimitReached),
        InsertApiKey::MakerMayNot => Err(NotAllowed::RoleTooSmall.into()),
        InsertApiKey::ForeignNamespaces(ids) => Err(IssueApiKeyError::ForeignNamespaces(ids)),
    }
}

pub(crate) fn new_secret(
    secret: &PlainApiKey,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> NewKeySecret {
    NewKeySecret {
        id: KeySecretId::generate(now, rng),
        hash: secret.hash(),
        prefix: secret.prefix(),
    }
}
