//! What the operator ends at once in the whole installation: after a restore, or a
//! leak (contract R7).
//!
//! In batches, each of which is a transaction: however much there is, nobody waits for
//! long, and what was ended stays ended where the rest fails or is broken off. Then it
//! is done again, and finds only what is left.

use std::{collections::BTreeMap, time::Duration};

use remotegpu_primitives::{AccountId, StoreError};

/// How many are ended in one transaction.
pub(crate) const BATCH: u32 = 200;
/// How often a batch is tried, and how long after it was refused: another's write may
/// have come in between, or the store may have been busy.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// Which of all are meant: all of them, unless something is said.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a, Id> {
    /// Only those of this account.
    pub account: Option<AccountId>,
    /// Only these.
    pub ids: Option<&'a [Id]>,
}

/// Whether they are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndAll {
    /// They are counted, and nothing changes.
    Count,
    /// They are ended.
    End,
}

/// What was found, and ended if that was wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many, in each account.
    pub accounts: BTreeMap<AccountId, u64>,
    /// How many of the identifiers are not known, or another account's.
    pub unknown: u64,
    /// How many of the identifiers are of what had ended before.
    pub ended_before: u64,
}

impl Ended {
    /// How many in all.
    pub fn total(&self) -> u64 {
        self.accounts.values().sum()
    }

    pub(crate) fn add(&mut self, account: AccountId) {
        *self.accounts.entry(account).or_default() += 1;
    }
}

/// Tries a batch again where that may help.
pub(crate) async fn persistently<T>(
    work: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match work().await {
            Err(StoreError::Unavailable(_) | StoreError::Conflict(_)) => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
    work().await
}
