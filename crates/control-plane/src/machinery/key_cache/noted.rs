//! When uses of keys were noted last, beside the cache: entries are copied out of
//! it, and could not be written to.

use std::sync::atomic::{AtomicU64, Ordering};

use time::OffsetDateTime;
use uuid::Uuid;

/// A slot for about each key: half of it tells whose time the other half is. Keys
/// that share a slot take it from each other, and are noted more often than need be.
pub struct Noted {
    slots: Box<[AtomicU64]>,
}

/// The half of a slot that is a time, in seconds since 1970.
const TIME: u64 = 0xFFFF_FFFF;

impl Noted {
    /// Slots for that many keys, at least one.
    pub fn new(keys: usize) -> Self {
        let slots = keys.max(1).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether a use at `now` is at least `every` after the last one of the key for
    /// which this was true. Two at once may both be told yes.
    pub fn is_due(&self, key: Uuid, now: OffsetDateTime, every: time::Duration) -> bool {
        let now = u32::try_from(now.unix_timestamp()).map_or(TIME, u64::from);
        // Identifiers are random in their last bytes.
        let (_, random) = key.as_u64_pair();
        let whose = random << 32;
        let slot = usize::try_from(random >> 32).unwrap_or_default() & (self.slots.len() - 1);
        let slot = &self.slots[slot];
        let last = slot.load(Ordering::Relaxed);
        let since = now.saturating_sub(last & TIME);
        let due = last & !TIME != whose || since >= every.whole_seconds().unsigned_abs();
        if due {
            slot.store(whose | now, Ordering::Relaxed);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: time::Duration = time::Duration::seconds(20);

    #[test]
    fn each_key_is_due_once_in_a_while() {
        // K14
        let noted = Noted::new(8);
        let (ada, eve) = (Uuid::from_u128(7 << 32), Uuid::from_u128(9 << 32));
        let due = |key, second: i64| {
            let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1_000_000 + second);
            noted.is_due(key, now, EVERY)
        };
        assert!(due(ada, 0) && due(eve, 1));
        assert!(!due(ada, 19) && !due(eve, 20));
        assert!(due(ada, 20) && due(eve, 21));
    }

    #[test]
    fn keys_that_share_a_slot_are_never_forgotten() {
        // K14
        let noted = Noted::new(1);
        let (ada, eve) = (Uuid::from_u128(7), Uuid::from_u128(9));
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1_000_000);
        for _ in 0..3 {
            assert!(noted.is_due(ada, now, EVERY) && noted.is_due(eve, now, EVERY));
        }
        assert!(!noted.is_due(eve, now, EVERY));
    }
}
