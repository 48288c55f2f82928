//! How whoever remembers keys learns that it must forget some (contract K13).

use std::time::Instant;

use async_trait::async_trait;
use remotegpu_primitives::{AccessTokenId, AccountId, ApiKeyId, StoreError, UserId};

/// Something changed that decides what keys open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// The key itself: revoked, rotated, or changed.
    Key(ApiKeyId),
    /// An account, and so all its keys: suspended, or no longer.
    Account(AccountId),
    /// A member's role, and so all keys that they made (contract K15).
    Maker(UserId),
    /// An access token: deleted, or changed.
    AccessToken(AccessTokenId),
    /// Nobody knows what: changes may have been missed.
    Everything,
}

/// What is learnt of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNews {
    /// Something has changed.
    Changed(KeyChange),
    /// Every change that was committed before this moment has been told.
    UpTo(Instant),
}

/// A store that tells what changes in it, whoever changes it.
#[async_trait]
pub trait KeyChangeFeed: Send + Sync {
    /// Listens from now on: what is committed after this has returned is told.
    async fn subscribe(&self) -> Result<Box<dyn KeyChangeSubscription>, StoreError>;
}

/// Somebody who listens.
#[async_trait]
pub trait KeyChangeSubscription: Send {
    /// Waits for news; with nothing changing, an [`KeyNews::UpTo`] about every
    /// second.
    ///
    /// # Errors
    /// The store does not answer, and changes may be missed from here on: the
    /// subscription is over.
    async fn next(&mut self) -> Result<KeyNews, StoreError>;
}
