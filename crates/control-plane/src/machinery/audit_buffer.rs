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
    flushing: tokio::sync::Mutex<Flushing>,
}

/// What a flush knows from those before it.
#[derive(Debug, Default)]
struct Flushing {
    /// An event that the log took. Writing it again changes nothing, and tells whether
    /// the log can write at all.
    taken: Option<NewAuditEvent>,
    /// How many flushes failed before any event was taken.
    failures: usize,
}

/// Why a part of a batch was not written.
enum Refusal {
    /// The log can write, and not this.
    OfThese(StoreError),
    /// The log cannot write just now.
    OfAll(StoreError),
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

    /// How many events were dropped, because too many waited or because they can never
    /// be written.
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
    /// stored, so that a flush that fails or is given up loses none. One that the log
    /// refuses while it takes others can never be written: it is told to this
    /// instance's own log and dropped, so that it holds up no other.
    pub async fn flush(&self, log: &dyn AuditLog) -> Result<(), StoreError> {
        let mut known = self.flushing.lock().await;
        loop {
            let batch: Vec<NewAuditEvent> = self.lock().iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.write(log, &batch, &mut known).await?;
        }
    }

    /// Writes the batch that stands at the front, and halves what is refused until the
    /// events are alone that are at fault: a few dozen writes for each of them.
    async fn write(
        &self,
        log: &dyn AuditLog,
        batch: &[NewAuditEvent],
        known: &mut Flushing,
    ) -> Result<(), StoreError> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match known.append(log, part).await {
                Ok(()) => {}
                Err(Refusal::OfAll(error)) => return Err(error),
                Err(Refusal::OfThese(error)) => {
                    let [event] = part else {
                        // The front first, in whose order events leave the buffer.
                        let (front, back) = part.split_at(part.len() / 2);
                        parts.extend([back, front]);
                        continue;
                    };
                    self.drop_event(event, &error);
                }
            }
            self.lock().drain(..part.len());
        }
        Ok(())
    }

    fn drop_event(&self, event: &NewAuditEvent, error: &StoreError) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            event = %event.act.id,
            action = event.action.as_str(),
            request_id = event.act.origin.request_id,
            error = error as &dyn std::error::Error,
            "an audit event can never be written, and is dropped"
        );
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<NewAuditEvent>> {
        // The queue is whole after any panic: every step on it is one call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flushing {
    async fn append(&mut self, log: &dyn AuditLog, part: &[NewAuditEvent]) -> Result<(), Refusal> {
        let error = match log.append(part).await {
            Ok(()) => {
                self.taken = part.last().cloned();
                self.failures = 0;
                return Ok(());
            }
            Err(error @ StoreError::Unavailable(_)) => error,
            Err(error) => return Err(Refusal::OfThese(error)),
        };
        // A database has many ways to refuse a row, and not all of them have a name: the
        // same word may mean that it is away. So it is asked for what it took before, or
        // else for one of these, another one each time.
        let probe = match &self.taken {
            Some(taken) => taken.clone(),
            None => part[self.failures % part.len()].clone(),
        };
        self.failures = self.failures.wrapping_add(1);
        // Twice in turns: it may have been away for a moment, or go away in this one.
        for _ in 0..2 {
            if log.append(std::slice::from_ref(&probe)).await.is_err() {
                return Err(Refusal::OfAll(error));
            }
            self.taken = Some(probe.clone());
            if log.append(part).await.is_ok() {
                return Ok(());
            }
        }
        Err(Refusal::OfThese(error))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use remotegpu_accounts::{AuditAction, AuditEvent, AuditFilter, AuditSubject};
    use remotegpu_primitives::{
        AccountId, Act, Actor, AuditEventId, NamespaceId, Origin, Page, PageRequest, StoreError,
    };
    use remotegpu_test_support::rng;
    use time::{OffsetDateTime, macros::datetime};
    use uuid::Uuid;

    use super::*;

    /// Refuses as often as it was told to, and what it was told never to take; keeps the
    /// sizes of batches.
    #[derive(Default)]
    struct Log {
        refusals: AtomicU64,
        poison: Vec<AuditEventId>,
        batches: Mutex<Vec<usize>>,
        tries: AtomicU64,
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
            self.tries.fetch_add(1, Ordering::Relaxed);
            if let Some(odd) = events
                .iter()
                .find(|event| self.poison.contains(&event.act.id))
            {
                let place = self.poison.iter().position(|id| *id == odd.act.id);
                // Every other one is refused by a word that may mean anything.
                return Err(match place {
                    Some(place) if place % 2 == 1 => StoreError::Conflict(None),
                    _ => StoreError::unavailable("some trigger said no"),
                });
            }
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
        // The batch, and the event that is tried after it.
        log.refusals.store(2, Ordering::Relaxed);
        buffer.flush(&log).await.unwrap_err();
        assert_eq!(buffer.waiting(), 2_500);
        buffer.flush(&log).await.unwrap();
        assert_eq!(*log.batches.lock().unwrap(), [1000, 1000, 500]);
        assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
        buffer.flush(&log).await.unwrap();
        assert_eq!(log.batches.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_event_that_can_never_be_written_holds_up_no_other() {
        // R5
        let buffer = AuditBuffer::default();
        let events: Vec<NewAuditEvent> = (0..2_500).map(|_| event()).collect();
        events.iter().cloned().for_each(|event| buffer.note(event));
        let places = [0, 1, 499, 999, 1000, 2_499];
        let log = Log {
            poison: places.map(|place: usize| events[place].act.id).into(),
            ..Log::default()
        };
        // Until one was taken nobody knows whether the log is away: another event is tried
        // each time, and the first of them is poison.
        buffer.flush(&log).await.unwrap_err();
        assert_eq!(buffer.waiting(), 2_500);
        for _ in 0..2 {
            let _ = buffer.flush(&log).await;
        }
        assert_eq!((buffer.waiting(), buffer.dropped()), (0, 6));
        let written: usize = log.batches.lock().unwrap().iter().sum();
        assert!(written >= 2_494, "{written}");
        let tries = log.tries.load(Ordering::Relaxed);
        assert!(tries < 6 * 60, "{tries}");
    }

    #[tokio::test]
    async fn a_store_that_goes_away_takes_no_event_along() {
        // R5
        let (buffer, log) = (AuditBuffer::default(), Log::default());
        buffer.note(event());
        buffer.flush(&log).await.unwrap();
        for _ in 0..4 {
            buffer.note(event());
        }
        for _ in 0..3 {
            log.refusals.store(5, Ordering::Relaxed);
            buffer.flush(&log).await.unwrap_err();
        }
        log.refusals.store(0, Ordering::Relaxed);
        buffer.flush(&log).await.unwrap();
        assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
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
