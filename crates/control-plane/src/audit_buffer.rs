//! Audit events that belong to no transaction, gathered so that no request waits
//! for their write: mints, and passwords that were refused (contract R5).

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use remotegpu_accounts::{AuditLog, NewAuditEvent};
use remotegpu_primitives::StoreError;
use tokio::sync::Notify;

/// How many events wait at the most, half a kilobyte each: for a store that is
/// away. Further ones are dropped, and counted.
const CAPACITY: usize = 20_000;
/// How many are written at once.
const BATCH: usize = 1000;

/// The events of this instance that are not written yet. What an instance that is
/// killed holds here is lost: no more than a second's, while the store is there.
#[derive(Debug, Default)]
pub struct AuditBuffer {
    waiting: Mutex<VecDeque<NewAuditEvent>>,
    dropped: AtomicU64,
    crowded: Notify,
    flushing: tokio::sync::Mutex<()>,
}

impl AuditBuffer {
    /// Keeps an event for the next flush.
    pub fn note(&self, event: NewAuditEvent) {
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(event);
        if waiting.len() == BATCH {
            self.crowded.notify_one();
        }
    }

    /// How many events were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// Waits for the time to flush: `interval`, or less when many events wait.
    pub async fn flush_within(&self, interval: Duration) {
        // Either way it is time.
        let _ = tokio::time::timeout(interval, self.crowded.notified()).await;
    }

    /// Writes what waits, in batches. Events leave the buffer after they are
    /// stored, so that a flush that fails or is given up loses none.
    pub async fn flush(&self, log: &dyn AuditLog) -> Result<(), StoreError> {
        let _alone = self.flushing.lock().await;
        loop {
            let batch: Vec<NewAuditEvent> = self.lock().iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            log.append(&batch).await?;
            self.lock().drain(..batch.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<NewAuditEvent>> {
        // The queue is whole after any panic: every step on it is one call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use remotegpu_accounts::{AuditAction, AuditEvent, AuditFilter, AuditSubject};
    use remotegpu_primitives::{
        AccountId, Act, Actor, NamespaceId, Origin, Page, PageRequest, StoreError,
    };
    use remotegpu_test_support::rng;
    use time::{OffsetDateTime, macros::datetime};
    use uuid::Uuid;

    use super::*;

    /// Refuses as often as it was told to, and then keeps the sizes of batches.
    #[derive(Default)]
    struct Log {
        refusals: AtomicU64,
        batches: Mutex<Vec<usize>>,
    }

    #[async_trait]
    impl AuditLog for Log {
        async fn list(
            &self,
            _: AccountId,
            _: AuditFilter,
            _: PageRequest,
        ) -> Result<Page<AuditEvent>, StoreError> {
            Err(StoreError::unavailable("not asked for here"))
        }

        async fn append(&self, events: &[NewAuditEvent]) -> Result<(), StoreError> {
            let left = self.refusals.load(Ordering::Relaxed);
            if left > 0 {
                self.refusals.store(left - 1, Ordering::Relaxed);
                return Err(StoreError::unavailable("down"));
            }
            self.batches.lock().unwrap().push(events.len());
            Ok(())
        }

        async fn delete_before(&self, _: OffsetDateTime, _: u32) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    fn event() -> NewAuditEvent {
        let now = datetime!(2026-01-01 00:00 UTC);
        let act = Act::new(Actor::System, Origin::default(), &mut rng(), now);
        let account = AccountId::from_uuid(Uuid::nil());
        let subject = AuditSubject::Namespace(NamespaceId::from_uuid(Uuid::nil()));
        NewAuditEvent::new(&act, account, AuditAction::CredentialMinted, subject)
    }

    #[tokio::test]
    async fn what_a_store_refused_is_written_by_the_next_flush() {
        // R5
        let (buffer, log) = (AuditBuffer::default(), Log::default());
        for _ in 0..2_500 {
            buffer.note(event());
        }
        log.refusals.store(1, Ordering::Relaxed);
        buffer.flush(&log).await.unwrap_err();
        assert_eq!(buffer.waiting(), 2_500);
        buffer.flush(&log).await.unwrap();
        assert_eq!(*log.batches.lock().unwrap(), [1000, 1000, 500]);
        assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
        buffer.flush(&log).await.unwrap();
        assert_eq!(log.batches.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_store_that_stays_away_fills_no_memory() {
        // R5
        let buffer = AuditBuffer::default();
        let one = event();
        for _ in 0..CAPACITY + 7 {
            buffer.note(one.clone());
        }
        assert_eq!((buffer.waiting(), buffer.dropped()), (CAPACITY, 7));
    }
}
