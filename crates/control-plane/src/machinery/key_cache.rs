//! Keys and access tokens that were read before, so that most requests need no query
//! (contract K13).
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
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use remotegpu_keys::{HashedApiKey, KeyChange, PresentedKey};
use time::OffsetDateTime;

use self::{
    by_hash::{ByHash, Fingerprint, by_hash},
    changes::Changes,
    entry::Entry,
    noted::Noted,
    tokens::Tokens,
};

pub use self::changes::Begun;

mod by_hash;
mod changes;
mod entry;
mod noted;
mod tokens;

/// For how long the proof that changes are heard of lets the cache be trusted.
/// Contract K13 gives 5 seconds; a request may have begun just before the end.
pub(crate) const TRUST: Duration = Duration::from_secs(4);
/// A key in steady use is noted so often: its time is written once a minute
/// (contract K14), and noting each use would cost as much as checking the key.
const NOTE_EVERY: time::Duration = time::Duration::seconds(20);
/// The keys and access tokens that an instance remembers.
pub struct KeyCache {
    /// Absent when nothing is to be remembered.
    entries: Option<ByHash<Entry>>,
    noted: Noted,
    tokens: Tokens,
    changes: Changes,
    started: Instant,
    /// Milliseconds after `started`.
    trusted_until: AtomicU64,
    /// Whether it is never trusted again.
    retired: AtomicBool,
    hits: AtomicU64,
    misses: AtomicU64,
}

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

impl KeyCache {
    /// Remembers up to about `capacity` keys, and as many tokens; none at 0. It is not trusted until
    /// [`KeyCache::trust`] says that changes are heard of.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: by_hash(capacity, capacity),
            noted: Noted::new(capacity),
            tokens: Tokens::new(capacity),
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
        let entry = self.entries.as_ref()?.get(&Fingerprint::of(&hash.0))?;
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
        self.changes.begun()
    }

    /// Remembers what the store has answered, unless something has changed since
    /// the query began.
    pub fn insert(&self, hash: &HashedApiKey, begun: Begun, presented: &PresentedKey) {
        let Some(entries) = &self.entries else { return };
        let entry = Entry::new(begun, presented);
        if self.is_trusted() && self.changes.none_since(begun, entry.subjects()) {
            entries.insert(Fingerprint::of(&hash.0), entry);
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

#[cfg(test)]
mod tests;
