//! When what has changed last, counted in changes.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Slots for the numbers of changes. Subjects that share one make each other
/// stale, which costs a query.
const SLOTS: usize = 1 << 16;

/// A moment before a query begins. What the query brings is as old as this.
#[derive(Debug, Clone, Copy)]
pub struct Begun(u64);

pub(super) struct Changes {
    latest: AtomicU64,
    /// The last change that may have been of anything.
    of_everything: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Changes {
    pub fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            of_everything: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// This moment.
    pub fn begun(&self) -> Begun {
        Begun(self.latest.load(Ordering::SeqCst))
    }

    pub fn note(&self, subject: Uuid) {
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        self.slot(subject).fetch_max(number, Ordering::SeqCst);
    }

    pub fn note_everything(&self) {
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        self.of_everything.fetch_max(number, Ordering::SeqCst);
    }

    pub fn none_since(&self, begun: Begun, subjects: [Uuid; 3]) -> bool {
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
