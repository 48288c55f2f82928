//! What can go wrong in a store, whatever the store is.

use std::error::Error;

/// A store did not do what it was asked. Outcomes that a caller expects (not
/// found, a name that is taken) are values, not errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else's write came in between, or a rule of the store that the
    /// caller did not expect refused the write.
    #[error("the store refused a conflicting write")]
    Conflict(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// Whoever acts may not any more: what they were let in by has gone meanwhile.
    #[error("whoever asked for this may not any more")]
    NotAllowed,
    /// The store cannot be reached or does not answer in time.
    #[error("the store is unavailable")]
    Unavailable(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// The store holds or answered what it must not.
    #[error("the store holds something unreadable")]
    Corrupt(#[source] Option<Box<dyn Error + Send + Sync>>),
}

impl StoreError {
    /// A [`StoreError::Corrupt`] with a reason in words.
    pub fn corrupt(reason: impl Into<String>) -> Self {
        Self::Corrupt(Some(reason.into().into()))
    }

    /// A [`StoreError::Unavailable`] with a reason in words.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(Some(reason.into().into()))
    }
}
