//! What waits to be written down, gathered so that no request waits for a write. It is
//! written when its time has come or when much of it waits; what the store refuses by
//! name is dropped alone, what it does not take otherwise is passed over and waits; and
//! what still waits is written when the instance ends.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use remotegpu_primitives::{Clock, StoreError};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// How many entries are written at once.
const BATCH: usize = 1000;
/// How long it is rested at the most between two batches.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How long an entry is rested from that the store did not take alone.
const PASSED_OVER_FOR: time::Duration = time::Duration::MINUTE;
/// How many entries may be passed over one after the other. A store that takes none of so
/// many cannot write, whatever else it answers.
const VAIN: usize = 8;
/// How many entries one flush may drop; further ones are passed over. Where so many are
/// refused something else is wrong, and somebody may put it right.
const DROPS: usize = 20;

/// Something that a [`Buffer`] keeps until it is written.
#[async_trait]
pub trait Entry: Clone + Send + Sync + 'static {
    /// Of each key the latest entry counts.
    type Key: Copy + Ord + Hash + Send + Sync;
    /// Where it is written.
    type Store: ?Sized + Send + Sync;
    /// What several of them are called in the log.
    const NAME: &'static str;
    /// How they are kept and written.
    const PACE: Pace;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// When it happened.
    fn at(&self) -> OffsetDateTime;

    /// Writes all of these, or none. To write one again changes nothing.
    async fn write(store: &Self::Store, entries: &[Self]) -> Result<(), StoreError>;

    /// Tells the log that this one can never be written.
    fn tell_dropped(&self, error: &StoreError);
}

/// How entries are kept and written.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many keys are kept at the most: for a store that is away. Entries of further
    /// ones are dropped, and counted.
    pub capacity: usize,
    /// How many keys make it crowded, so that it is written before its time.
    pub crowd: usize,
    /// How often it is written else. So much an instance that is killed may lose.
    pub every: Duration,
    /// How far apart two writes for one key are.
    pub apart: time::Duration,
    /// How many times as long as a batch took nothing is written after it, while the
    /// instance has other things to do.
    pub rest: u32,
}

/// The entries of this instance that are not written yet.
pub struct Buffer<E: Entry> {
    slots: Mutex<HashMap<E::Key, Slot<E>>>,
    is_open: bool,
    dropped: AtomicU64,
    crowded: Notify,
    flushing: tokio::sync::Mutex<Flushing<E>>,
}

/// The latest entry of a key, and of when the one was that was written last.
struct Slot<E> {
    entry: E,
    written: Option<OffsetDateTime>,
    /// Until when it is passed over.
    rests: Option<OffsetDateTime>,
}

impl<E: Entry> Slot<E> {
    fn is_pending(&self) -> bool {
        self.written.is_none_or(|written| written < self.entry.at())
    }

    /// Whether nothing was written for it of late.
    fn is_quiet(&self, now: OffsetDateTime) -> bool {
        self.written
            .is_none_or(|written| now - written >= E::PACE.apart)
    }

    fn is_due(&self, now: OffsetDateTime) -> bool {
        self.is_pending() && self.is_quiet(now) && self.rests.is_none_or(|until| until <= now)
    }
}

/// What a flush knows from those before it.
struct Flushing<E> {
    /// An entry that the store took. Where it does not even take that again, it is away.
    taken: Option<E>,
    /// How many parts failed since any entry was taken.
    failures: usize,
    /// How many entries this flush dropped.
    drops: usize,
    /// Why it passed over the last one that it did.
    passed_over: Option<StoreError>,
    /// How many it passed over since it wrote any.
    vain: usize,
}

impl<E> Default for Flushing<E> {
    fn default() -> Self {
        Self {
            taken: None,
            failures: 0,
            drops: 0,
            passed_over: None,
            vain: 0,
        }
    }
}

/// Why a part of a batch was not written.
enum Refusal {
    /// The store answers, and does not take this.
    OfThese(StoreError),
    /// The store is away.
    OfAll(StoreError),
}

impl<E: Entry> Default for Buffer<E> {
    fn default() -> Self {
        Self::with(true)
    }
}

impl<E: Entry> Buffer<E> {
    /// One that keeps entries, or one that takes none.
    pub(crate) fn with(is_open: bool) -> Self {
        Self {
            slots: Mutex::default(),
            is_open,
            dropped: AtomicU64::new(0),
            crowded: Notify::new(),
            flushing: tokio::sync::Mutex::default(),
        }
    }

    /// Keeps an entry for the next flush.
    pub(crate) fn keep(&self, entry: E) {
        if !self.is_open {
            return;
        }
        let mut slots = self.lock();
        if let Some(slot) = slots.get_mut(&entry.key()) {
            if slot.entry.at() < entry.at() {
                slot.entry = entry;
            }
            return;
        }
        if slots.len() >= E::PACE.capacity {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let slot = Slot {
            written: None,
            rests: None,
            entry,
        };
        slots.insert(slot.entry.key(), slot);
        if slots.len() == E::PACE.crowd {
            self.crowded.notify_one();
        }
    }

    /// How many entries were dropped, because too many waited or because they can never
    /// be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many entries wait.
    pub fn waiting(&self) -> usize {
        self.lock()
            .values()
            .filter(|slot| slot.is_pending())
            .count()
    }

    /// Writes what is due again and again, until it is dropped.
    pub(crate) async fn keep_flushed(&self, store: &E::Store, clock: &dyn Clock) {
        loop {
            // Either way it is time.
            let _ = tokio::time::timeout(E::PACE.every, self.crowded.notified()).await;
            if let Err(error) = self.write_due(store, E::PACE.rest, clock.now()).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "{} were not written down",
                    E::NAME
                );
            }
        }
    }

    /// Writes what is due when the instance ends, without rests, and then what was passed
    /// over, for the last time.
    pub async fn drain(&self, store: &E::Store, now: OffsetDateTime) {
        let mut flushed = self.flush(store, now).await;
        if flushed.is_ok() {
            self.lock().values_mut().for_each(|slot| slot.rests = None);
            flushed = self.flush(store, now).await;
        }
        let (lost, error) = (self.waiting(), flushed.err());
        if lost > 0 {
            tracing::warn!(
                lost,
                error = error.as_ref().map(|error| error as &dyn std::error::Error),
                "the last {} were not written down",
                E::NAME
            );
        }
    }

    /// Writes what is due, in batches, without rests. What is written leaves the buffer
    /// after it is stored, so that a flush that fails or is given up loses nothing. An
    /// entry that the store refuses by name can never be written: it is told to this
    /// instance's log and dropped. One that it does not take otherwise is passed over for
    /// a while. Neither holds up any other.
    ///
    /// # Errors
    /// The store is away or cannot write; what it has not taken waits on.
    pub async fn flush(&self, store: &E::Store, now: OffsetDateTime) -> Result<(), StoreError> {
        self.write_due(store, 0, now).await
    }

    async fn write_due(
        &self,
        store: &E::Store,
        rest: u32,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut known = self.flushing.lock().await;
        (known.drops, known.passed_over, known.vain) = (0, None, 0);
        loop {
            let due = self.due(now);
            for (index, keys) in due.chunks(BATCH).enumerate() {
                let begun = Instant::now();
                let entries = self.entries(keys);
                self.write(store, &entries, now, &mut known).await?;
                if rest > 0 && (index + 1) * BATCH < due.len() {
                    tokio::time::sleep((begun.elapsed() * rest).min(LONGEST_REST)).await;
                }
            }
            // A crowd that gathered meanwhile is told of no more: it was one before.
            if self.due(now).len() < E::PACE.crowd {
                break;
            }
        }
        if let Some(error) = known.passed_over.take() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store does not take some {}, which are passed over",
                E::NAME
            );
        }
        self.forget_quiet(now);
        Ok(())
    }

    /// The keys whose entries are to be written now. In their order, in which rows lie.
    fn due(&self, now: OffsetDateTime) -> Vec<E::Key> {
        let slots = self.lock();
        let due = slots.iter().filter(|(_, slot)| slot.is_due(now));
        let mut keys: Vec<E::Key> = due.map(|(key, _)| *key).collect();
        drop(slots);
        keys.sort_unstable();
        keys
    }

    fn entries(&self, keys: &[E::Key]) -> Vec<E> {
        let slots = self.lock();
        let found = keys.iter().filter_map(|key| slots.get(key));
        found.map(|slot| slot.entry.clone()).collect()
    }

    /// Writes a batch, and halves what is refused until the entries are alone that are at
    /// fault: a few dozen writes for each of them.
    async fn write(
        &self,
        store: &E::Store,
        batch: &[E],
        now: OffsetDateTime,
        known: &mut Flushing<E>,
    ) -> Result<(), StoreError> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match known.append(store, part).await {
                Ok(()) => self.mark_written(part),
                Err(Refusal::OfAll(error)) => return Err(error),
                Err(Refusal::OfThese(error)) => {
                    if let [entry] = part {
                        self.put_aside(entry, error, now, known)?;
                    } else {
                        let (front, back) = part.split_at(part.len() / 2);
                        parts.extend([back, front]);
                    }
                }
            }
        }
        Ok(())
    }

    /// Drops an entry that was refused by name, and passes over any other: a store that
    /// cannot write refuses all by the same word as one of them, and may still say yes to
    /// what changes nothing.
    fn put_aside(
        &self,
        entry: &E,
        error: StoreError,
        now: OffsetDateTime,
        known: &mut Flushing<E>,
    ) -> Result<(), StoreError> {
        let is_named = !matches!(error, StoreError::Unavailable(_));
        if is_named && known.drops < DROPS {
            known.drops += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            entry.tell_dropped(&error);
            self.lock().remove(&entry.key());
            return Ok(());
        }
        if let Some(slot) = self.lock().get_mut(&entry.key()) {
            slot.rests = Some(now + PASSED_OVER_FOR);
        }
        known.vain += 1;
        if known.vain >= VAIN {
            return Err(error);
        }
        known.passed_over = Some(error);
        Ok(())
    }

    fn mark_written(&self, part: &[E]) {
        let mut slots = self.lock();
        for entry in part {
            let key = entry.key();
            let Some(slot) = slots.get_mut(&key) else {
                continue;
            };
            slot.written = Some(entry.at());
            slot.rests = None;
            if E::PACE.apart.is_zero() && !slot.is_pending() {
                slots.remove(&key);
            }
        }
    }

    /// Forgets what has been quiet since its last write. With very many in use, the
    /// store's own rule keeps their writes apart.
    fn forget_quiet(&self, now: OffsetDateTime) {
        let mut slots = self.lock();
        let is_crowded = slots.len() >= E::PACE.crowd;
        slots.retain(|_, slot| slot.is_pending() || !(is_crowded || slot.is_quiet(now)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<E::Key, Slot<E>>> {
        // The map is whole after any panic: every step on it is one call.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Entry> Flushing<E> {
    async fn append(&mut self, store: &E::Store, part: &[E]) -> Result<(), Refusal> {
        let error = match E::write(store, part).await {
            Ok(()) => {
                self.taken = part.last().cloned();
                self.failures = 0;
                self.vain = 0;
                return Ok(());
            }
            Err(error @ StoreError::Unavailable(_)) => error,
            Err(error) => return Err(Refusal::OfThese(error)),
        };
        // A database has many ways to refuse a row, and not all of them have a name: the
        // same word may mean that it is away. So it is asked for what it took before, or
        // else for one of these, another one each time. That it takes this proves little:
        // nothing may change by it. That it does not proves that it is away.
        let probe = match &self.taken {
            Some(taken) => taken.clone(),
            None => part[self.failures % part.len()].clone(),
        };
        self.failures = self.failures.wrapping_add(1);
        if E::write(store, std::slice::from_ref(&probe)).await.is_err() {
            return Err(Refusal::OfAll(error));
        }
        self.taken = Some(probe);
        Err(Refusal::OfThese(error))
    }
}

impl<E: Entry> fmt::Debug for Buffer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("of", &E::NAME)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
