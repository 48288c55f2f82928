//! When keys were last used, gathered so that a request waits for no write
//! (contract K14).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use remotegpu_keys::ApiKeyRepository;
use remotegpu_primitives::{ApiKeyId, StoreError};
use time::{Duration, OffsetDateTime};

const INTERVAL: Duration = Duration::MINUTE;

/// The uses of keys that this instance has seen and not written yet.
#[derive(Debug, Default)]
pub struct KeyUses {
    seen: Mutex<HashMap<ApiKeyId, Use>>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    last: OffsetDateTime,
    written: Option<OffsetDateTime>,
}

impl Use {
    /// A key's time is written at most once a minute.
    fn is_due(&self) -> bool {
        self.written
            .is_none_or(|written| self.last - written >= INTERVAL)
    }
}

impl KeyUses {
    /// Notes that a key opened something.
    pub fn note(&self, key: ApiKeyId, now: OffsetDateTime) {
        let mut seen = self.lock();
        let entry = seen.entry(key).or_insert(Use {
            last: now,
            written: None,
        });
        entry.last = entry.last.max(now);
    }

    /// Writes what is due, in one batch, and forgets keys that have been quiet
    /// since their last write a minute ago.
    pub async fn flush(
        &self,
        keys: &dyn ApiKeyRepository,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let due: Vec<(ApiKeyId, OffsetDateTime)> = self
            .lock()
            .iter()
            .filter(|(_, entry)| entry.is_due())
            .map(|(key, entry)| (*key, entry.last))
            .collect();
        if !due.is_empty() {
            keys.record_use(&due).await?;
        }
        let mut seen = self.lock();
        for (key, last) in due {
            if let Some(entry) = seen.get_mut(&key) {
                entry.written = Some(last);
            }
        }
        seen.retain(|_, entry| {
            let pending = entry.written.is_none_or(|written| written < entry.last);
            pending || now - entry.last < INTERVAL
        });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, Use>> {
        // The map is whole after any panic: every step on it is one call.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
