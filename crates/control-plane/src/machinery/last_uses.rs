//! When keys, access tokens and cluster identities were last used, gathered so that a request waits
//! for no write (contract K14, X12).

use std::time::Duration;

use async_trait::async_trait;
use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::IdentityRepository;
use remotegpu_primitives::{AccessTokenId, ApiKeyId, IdentityId, StoreError};
use time::OffsetDateTime;

use crate::machinery::buffer::{Buffer, Entry, Pace};

/// Uses that this instance has seen and not written yet. An identifier and its last time
/// are all that is kept of each.
pub type LastUses<Id> = Buffer<(Id, OffsetDateTime)>;

/// When keys opened something.
pub type KeyUses = LastUses<ApiKeyId>;

/// When access tokens opened a cluster.
pub type AccessTokenUses = LastUses<AccessTokenId>;

/// When tokens were minted for identities. Only mints are noted that come an hour after
/// the last one that is written down (contract X12).
pub type IdentityUses = LastUses<IdentityId>;

impl<Id> LastUses<Id>
where
    (Id, OffsetDateTime): Entry,
{
    /// Notes that it was used.
    pub fn note(&self, id: Id, now: OffsetDateTime) {
        self.keep((id, now));
    }
}

impl KeyUses {
    /// Notes uses, or, where the operator does not want that, none.
    pub fn new(enabled: bool) -> Self {
        Self::with(enabled)
    }
}

impl AccessTokenUses {
    /// Notes uses, or, where the operator does not want that, none.
    pub fn new(enabled: bool) -> Self {
        Self::with(enabled)
    }
}

/// However many are in use, writing that down takes a tenth of one processor's time.
const PACE: Pace = Pace {
    capacity: 100_000,
    crowd: 50_000,
    every: Duration::from_secs(2),
    apart: time::Duration::MINUTE,
    rest: 9,
};

#[async_trait]
impl Entry for (ApiKeyId, OffsetDateTime) {
    type Key = ApiKeyId;
    type Store = dyn ApiKeyRepository;
    const NAME: &'static str = "uses of keys";
    const PACE: Pace = PACE;

    fn key(&self) -> ApiKeyId {
        self.0
    }

    fn at(&self) -> OffsetDateTime {
        self.1
    }

    async fn write(keys: &Self::Store, uses: &[Self]) -> Result<(), StoreError> {
        keys.record_use(uses).await
    }

    fn tell_dropped(&self, error: &StoreError) {
        tracing::error!(
            key = %self.0,
            error = error as &dyn std::error::Error,
            "a use of a key can never be written down, and is dropped"
        );
    }
}

#[async_trait]
impl Entry for (AccessTokenId, OffsetDateTime) {
    type Key = AccessTokenId;
    type Store = dyn AccessTokenRepository;
    const NAME: &'static str = "uses of access tokens";
    const PACE: Pace = PACE;

    fn key(&self) -> AccessTokenId {
        self.0
    }

    fn at(&self) -> OffsetDateTime {
        self.1
    }

    async fn write(tokens: &Self::Store, uses: &[Self]) -> Result<(), StoreError> {
        tokens.record_use(uses).await
    }

    fn tell_dropped(&self, error: &StoreError) {
        tracing::error!(
            token = %self.0,
            error = error as &dyn std::error::Error,
            "a use of an access token can never be written down, and is dropped"
        );
    }
}

#[async_trait]
impl Entry for (IdentityId, OffsetDateTime) {
    type Key = IdentityId;
    type Store = dyn IdentityRepository;
    const NAME: &'static str = "uses of cluster identities";
    const PACE: Pace = Pace {
        // It may be late: a mint of one that has almost rested for too long writes that
        // itself.
        every: Duration::from_secs(30),
        apart: time::Duration::HOUR,
        ..PACE
    };

    fn key(&self) -> IdentityId {
        self.0
    }

    fn at(&self) -> OffsetDateTime {
        self.1
    }

    async fn write(identities: &Self::Store, mints: &[Self]) -> Result<(), StoreError> {
        identities.record_mints(mints).await
    }

    fn tell_dropped(&self, error: &StoreError) {
        tracing::error!(
            identity = %self.0,
            error = error as &dyn std::error::Error,
            "a use of a cluster identity can never be written down, and is dropped"
        );
    }
}
