//! When keys and cluster identities were last used, gathered so that a request waits
//! for no write (contract K14, X12).

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::IdentityRepository;
use remotegpu_primitives::{ApiKeyId, IdentityId, StoreError};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// How many are remembered at the most. Uses of further ones are not noted until the
/// next flush has made room.
const CAPACITY: usize = 100_000;
/// How many uses are written at once.
const BATCH: usize = 1_000;
/// How many times as long as a batch took nothing is written after it: however many
/// are in use, writing that down takes a tenth of one processor's time.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Uses that this instance has seen and not written yet.
#[derive(Debug)]
pub struct LastUses<Id> {
    seen: Option<Mutex<HashMap<Id, Use>>>,
    crowded: Notify,
    /// Each time is written at most so often, in microseconds.
    interval: i64,
}

/// When keys opened something.
pub type KeyUses = LastUses<ApiKeyId>;

/// When tokens were minted for identities. Only mints are noted that come an hour after
/// the last one that is written down (contract X12).
pub type IdentityUses = LastUses<IdentityId>;

/// In microseconds since 1970; a time that was never is the least number.
#[derive(Debug, Clone, Copy)]
struct Use {
    last: i64,
    written: i64,
}

const NEVER: i64 = i64::MIN;

impl Use {
    fn is_pending(&self) -> bool {
        self.written < self.last
    }

    fn is_due(&self, now: i64, interval: i64) -> bool {
        self.is_pending() && now.saturating_sub(self.written) >= interval
    }
}

impl Default for KeyUses {
    fn default() -> Self {
        Self::new(true)
    }
}

impl KeyUses {
    /// Notes uses, or, where the operator does not want that, none.
    pub fn new(enabled: bool) -> Self {
        Self::with(time::Duration::MINUTE, enabled)
    }

    /// Writes what is due, in batches with pauses between them, and forgets keys that
    /// have been quiet since their last write a minute ago.
    ///
    /// # Errors
    /// The store did not take a batch; what it has not taken waits on.
    pub async fn flush_gently(
        &self,
        keys: &dyn ApiKeyRepository,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.write(&OfKeys(keys), now, REST).await
    }

    /// The same without pauses, for an instance that is going down.
    ///
    /// # Errors
    /// As [`KeyUses::flush_gently`].
    pub async fn flush(
        &self,
        keys: &dyn ApiKeyRepository,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.write(&OfKeys(keys), now, 0).await
    }
}

impl Default for IdentityUses {
    fn default() -> Self {
        Self::with(time::Duration::HOUR, true)
    }
}

impl IdentityUses {
    /// Writes what is due, as [`KeyUses::flush_gently`] does.
    ///
    /// # Errors
    /// The store did not take a batch; what it has not taken waits on.
    pub async fn flush_gently(
        &self,
        identities: &dyn IdentityRepository,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.write(&OfIdentities(identities), now, REST).await
    }

    /// The same without pauses, for an instance that is going down.
    ///
    /// # Errors
    /// As [`IdentityUses::flush_gently`].
    pub async fn flush(
        &self,
        identities: &dyn IdentityRepository,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.write(&OfIdentities(identities), now, 0).await
    }
}

/// Where times are written.
#[async_trait]
trait Written<Id>: Sync {
    async fn record(&self, times: &[(Id, OffsetDateTime)]) -> Result<(), StoreError>;
}

struct OfKeys<'a>(&'a dyn ApiKeyRepository);

#[async_trait]
impl Written<ApiKeyId> for OfKeys<'_> {
    async fn record(&self, times: &[(ApiKeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.0.record_use(times).await
    }
}

struct OfIdentities<'a>(&'a dyn IdentityRepository);

#[async_trait]
impl Written<IdentityId> for OfIdentities<'_> {
    async fn record(&self, times: &[(IdentityId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.0.record_mints(times).await
    }
}

impl<Id: Copy + Ord + Hash + Send + Sync> LastUses<Id> {
    fn with(interval: time::Duration, enabled: bool) -> Self {
        Self {
            seen: enabled.then(Mutex::default),
            crowded: Notify::new(),
            interval: micros_of(interval),
        }
    }

    /// Notes that it was used.
    pub fn note(&self, key: Id, now: OffsetDateTime) {
        let Some(mut seen) = self.lock() else { return };
        let now = micros(now);
        if let Some(entry) = seen.get_mut(&key) {
            entry.last = entry.last.max(now);
            return;
        }
        if seen.len() < CAPACITY {
            let entry = Use {
                last: now,
                written: NEVER,
            };
            seen.insert(key, entry);
        }
        if seen.len() == CAPACITY / 2 {
            self.crowded.notify_one();
        }
    }

    /// Waits for the time to flush: `interval`, or less when many wait.
    pub async fn flush_within(&self, interval: Duration) {
        // Either way it is time.
        let _ = tokio::time::timeout(interval, self.crowded.notified()).await;
    }

    async fn write(
        &self,
        store: &dyn Written<Id>,
        now: OffsetDateTime,
        rest: u32,
    ) -> Result<(), StoreError> {
        let now = micros(now);
        let mut due: Vec<(Id, i64)> = match self.lock() {
            None => return Ok(()),
            Some(seen) => seen
                .iter()
                .filter(|(_, entry)| entry.is_due(now, self.interval))
                .map(|(key, entry)| (*key, entry.last))
                .collect(),
        };
        // Rows lie in the order of their ids.
        due.sort_unstable_by_key(|(key, _)| *key);
        for (index, batch) in due.chunks(BATCH).enumerate() {
            let begun = Instant::now();
            let uses: Vec<(Id, OffsetDateTime)> = batch
                .iter()
                .map(|(key, last)| (*key, time_of(*last)))
                .collect();
            store.record(&uses).await?;
            self.mark_written(batch);
            if (index + 1) * BATCH < due.len() {
                tokio::time::sleep((begun.elapsed() * rest).min(LONGEST_REST)).await;
            }
        }
        let Some(mut seen) = self.lock() else {
            return Ok(());
        };
        // With very many in use, the store's own rule keeps their writes apart.
        let crowded = seen.len() >= CAPACITY / 2;
        let quiet = |entry: &Use| now.saturating_sub(entry.written) >= self.interval;
        seen.retain(|_, entry| entry.is_pending() || !(crowded || quiet(entry)));
        Ok(())
    }

    fn mark_written(&self, batch: &[(Id, i64)]) {
        let Some(mut seen) = self.lock() else { return };
        for (key, last) in batch {
            if let Some(entry) = seen.get_mut(key) {
                entry.written = *last;
            }
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, HashMap<Id, Use>>> {
        // The map is whole after any panic: every step on it is one call.
        let seen = self.seen.as_ref()?;
        Some(seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
}

fn micros_of(duration: time::Duration) -> i64 {
    i64::try_from(duration.whole_microseconds()).unwrap_or(i64::MAX)
}

fn time_of(micros: i64) -> OffsetDateTime {
    let nanos = i128::from(micros) * 1000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
