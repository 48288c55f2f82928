//! Keys that were read before, so that most requests need no query (contract K13).
//!
//! A cached key counts only while two things hold. First, nothing that decides
//! about it has changed since the query that read it *began*: each change gets a
//! number, and leaves it in a table of slots under the key, account or maker that
//! it is of. A key whose slots hold a later number than it was read at is stale.
//! So a change costs one write whatever it is of, and a query that raced with it
//! brings back what is stale from the start. Second, the instance is known to
//! hear of changes: every proof of that is good for [`TRUST`].

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};
use remotegpu_keys::{HashedApiKey, KeyChange, PresentedKey};
use time::OffsetDateTime;
use uuid::Uuid;

use self::{entry::Entry, noted::Noted};

mod entry;
mod noted;

/// For how long the proof that changes are heard of lets the cache be trusted.
/// Contract K13 gives 5 seconds; a request may have begun just before the end.
pub(crate) const TRUST: Duration = Duration::from_secs(4);
/// A key in steady use is noted so often: its time is written once a minute
/// (contract K14), and noting each use would cost as much as checking the key.
const NOTE_EVERY: time::Duration = time::Duration::seconds(20);
/// Slots for the numbers of changes. Subjects that share one make each other
/// stale, which costs a query.
const SLOTS: usize = 1 << 16;
/// What is remembered of keys that had to go, as a part of the cache's size: it
/// tells which of those that come back are in steady use.
const GHOSTS: f64 = 0.1;

/// The keys that an instance remembers.
pub struct KeyCache {
    /// Absent when nothing is to be remembered.
    entries: Option<Entries>,
    noted: Noted,
    changes: Changes,
    started: Instant,
    /// Milliseconds after `started`.
    trusted_until: AtomicU64,
    /// Whether it is never trusted again.
    retired: AtomicBool,
    hits: AtomicU64,
    misses: AtomicU64,
}

type Entries = Cache<
    Fingerprint,
    Entry,
    UnitWeighter,
    BuildHasherDefault<FirstBytes>,
    DefaultLifecycle<Fingerprint, Entry>,
>;

/// How often the cache knew a key, and how often the store had to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCacheCounts {
    /// Answered from memory.
    pub hits: u64,
    /// Asked of the store: unknown here, stale, or not trusted.
    pub misses: u64,
}

/// A key that was remembered.
pub(crate) struct Recalled<'a> {
    entry: Entry,
    noted: &'a Noted,
}

impl Recalled<'_> {
    /// The key, without its `last_used_at`: that would be old, and nothing that a
    /// key opens depends on it.
    pub fn presented(&self) -> PresentedKey {
        self.entry.presented()
    }

    /// Whether this use is far enough from the last one for which this was
    /// answered with yes: [`NOTE_EVERY`].
    pub(crate) fn use_is_worth_noting(&self, now: OffsetDateTime) -> bool {
        self.noted.is_due(self.entry.key(), now, NOTE_EVERY)
    }
}

/// A moment before a query begins. What the query brings is as old as this.
#[derive(Debug, Clone, Copy)]
pub struct Begun(u64);

impl KeyCache {
    /// Remembers up to about `capacity` keys; none at 0. It is not trusted until
    /// [`KeyCache::trust`] says that changes are heard of.
    pub fn new(capacity: usize) -> Self {
        let entries = OptionsBuilder::new()
            .estimated_items_capacity(capacity)
            .weight_capacity(capacity as u64)
            .ghost_allocation(GHOSTS)
            .build()
            .ok()
            .filter(|_| capacity > 0)
            .map(|options| {
                let (hasher, lifecycle) =
                    (BuildHasherDefault::default(), DefaultLifecycle::default());
                Cache::with_options(options, UnitWeighter, hasher, lifecycle)
            });
        Self {
            entries,
            noted: Noted::new(capacity),
            changes: Changes::new(),
            started: Instant::now(),
            trusted_until: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The key, if it is remembered and nothing speaks against it.
    pub(crate) fn recall(&self, hash: &HashedApiKey) -> Option<Recalled<'_>> {
        if !self.is_trusted() {
            return None;
        }
        let entry = self.entries.as_ref()?.get(&Fingerprint::of(hash))?;
        let fresh = self.changes.none_since(entry.begun(), entry.subjects());
        if !fresh {
            return None;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(Recalled {
            entry,
            noted: &self.noted,
        })
    }

    /// To be called before the store is asked for a key.
    pub fn begin(&self) -> Begun {
        self.misses.fetch_add(1, Ordering::Relaxed);
        Begun(self.changes.latest.load(Ordering::SeqCst))
    }

    /// Remembers what the store has answered, unless something has changed since
    /// the query began.
    pub fn insert(&self, hash: &HashedApiKey, begun: Begun, presented: &PresentedKey) {
        let Some(entries) = &self.entries else { return };
        let entry = Entry::new(begun, presented);
        if self.is_trusted() && self.changes.none_since(begun, entry.subjects()) {
            entries.insert(Fingerprint::of(hash), entry);
        }
    }

    /// Forgets what a change has made stale.
    pub fn note(&self, change: KeyChange) {
        match change {
            KeyChange::Key(id) => self.changes.note(id.as_uuid()),
            KeyChange::Account(id) => self.changes.note(id.as_uuid()),
            KeyChange::Maker(id) => self.changes.note(id.as_uuid()),
            KeyChange::AccessToken(id) => self.changes.note(id.as_uuid()),
            KeyChange::Everything => self.changes.note_everything(),
        }
    }

    /// Notes the change when the guard is dropped: at the end of the call that
    /// makes it, and also when nobody waits for that end.
    pub(crate) fn note_later(&self, change: KeyChange) -> impl Drop + '_ {
        NoteOnDrop {
            cache: self,
            change,
        }
    }

    /// Every change that was committed before `moment` has been noted.
    pub fn trust(&self, moment: Instant) {
        let until = moment.duration_since(self.started) + TRUST;
        self.trusted_until.store(millis(until), Ordering::SeqCst);
        // After the store: whoever retires it sets this first, and sees that or is seen.
        if self.retired.load(Ordering::SeqCst) {
            self.distrust();
        }
    }

    /// Changes may be missed from now on: the store is asked for every key.
    pub(crate) fn distrust(&self) {
        self.trusted_until.store(0, Ordering::SeqCst);
    }

    /// Forgets all, for good: the keys are those of a store that is not there any
    /// more (contract R7).
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.distrust();
        self.note(KeyChange::Everything);
    }

    /// Whether changes are known to be heard of.
    pub fn is_trusted(&self) -> bool {
        millis(self.started.elapsed()) < self.trusted_until.load(Ordering::Acquire)
    }

    /// Since the start.
    pub fn counts(&self) -> KeyCacheCounts {
        KeyCacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache")
            .field("trusted", &self.is_trusted())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct NoteOnDrop<'a> {
    cache: &'a KeyCache,
    change: KeyChange,
}

impl Drop for NoteOnDrop<'_> {
    fn drop(&mut self) {
        self.cache.note(self.change);
    }
}

/// When what has changed last, counted in changes.
struct Changes {
    latest: AtomicU64,
    /// The last change that may have been of anything.
    of_everything: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Changes {
    fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            of_everything: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn note(&self, subject: Uuid) {
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        self.slot(subject).fetch_max(number, Ordering::SeqCst);
    }

    fn note_everything(&self) {
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        self.of_everything.fetch_max(number, Ordering::SeqCst);
    }

    fn none_since(&self, begun: Begun, subjects: [Uuid; 3]) -> bool {
        let unchanged = |subject| self.slot(subject).load(Ordering::Acquire) <= begun.0;
        self.of_everything.load(Ordering::Acquire) <= begun.0 && subjects.into_iter().all(unchanged)
    }

    fn slot(&self, subject: Uuid) -> &AtomicU64 {
        // Identifiers are random in their last bytes.
        let (_, low) = subject.as_u64_pair();
        let mixed = low.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        &self.slots[usize::try_from(mixed).unwrap_or_default() % SLOTS]
    }
}

/// Half of a hash. Whoever would be taken for another must find a second text
/// for 128 given bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint([u8; 16]);

impl Fingerprint {
    fn of(hash: &HashedApiKey) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash.0[..16]);
        Self(half)
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// What is a hash already needs no other. Nobody can choose where a key falls:
/// keys are drawn by the server.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let count = bytes.len().min(8);
        first[..count].copy_from_slice(&bytes[..count]);
        self.0 = u64::from_le_bytes(first);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
