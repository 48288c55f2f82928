//! How often an account issues and rotates keys (contract K16).

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
};

use remotegpu_primitives::AccountId;
use time::{Duration, OffsetDateTime};

/// Changes count for so long.
const WINDOW: Duration = Duration::MINUTE;
/// Accounts that have changed nothing for a minute are forgotten each time so many
/// have begun to.
const FORGET_EVERY: usize = 1024;

/// How many keys an account may issue and rotate within any minute. Each instance
/// counts its own: what is to be kept small is the number of rows, and a count in the
/// database would be one more of them.
pub struct KeyChangeLimits {
    most: usize,
    /// When each account's last changes were made or begun.
    changes: Mutex<HashMap<AccountId, VecDeque<OffsetDateTime>>>,
}

/// A change that counts from its beginning, and no more if it comes to nothing: when
/// this is dropped without [`KeyChangeTurn::made`].
#[derive(Debug)]
pub struct KeyChangeTurn<'a> {
    limits: &'a KeyChangeLimits,
    account: AccountId,
    at: OffsetDateTime,
    made: bool,
}

/// The account has changed keys too often; it may again after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("This account creates and rotates API keys too often")]
pub struct KeyChangesTooOften(pub Duration);

impl KeyChangeLimits {
    /// Lets each account make so many changes a minute.
    pub fn new(a_minute: NonZeroU32) -> Self {
        Self {
            most: usize::try_from(a_minute.get()).unwrap_or(usize::MAX),
            changes: Mutex::default(),
        }
    }

    /// Counts a change that is about to be made.
    ///
    /// # Errors
    /// [`KeyChangesTooOften`]: within the last minute the account has made as many as
    /// it may, or is making them.
    pub fn begin(
        &self,
        account: AccountId,
        now: OffsetDateTime,
    ) -> Result<KeyChangeTurn<'_>, KeyChangesTooOften> {
        let mut changes = self.lock();
        if changes.len() >= FORGET_EVERY && changes.len() == changes.capacity() {
            changes.retain(|_, times| {
                forget_old(times, now);
                !times.is_empty()
            });
        }
        let times = changes.entry(account).or_default();
        forget_old(times, now);
        if times.len() >= self.most {
            let first = times.iter().min().copied().unwrap_or(now);
            return Err(KeyChangesTooOften(first + WINDOW - now));
        }
        times.push_back(now);
        Ok(KeyChangeTurn {
            limits: self,
            account,
            at: now,
            made: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, VecDeque<OffsetDateTime>>> {
        // The map is whole after any panic: every step on it is one call.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What lies ahead by as much was noted by a clock that has been set back.
fn forget_old(times: &mut VecDeque<OffsetDateTime>, now: OffsetDateTime) {
    times.retain(|at| (now - *at).abs() < WINDOW);
}

impl KeyChangeTurn<'_> {
    /// The change is made, and counts.
    pub fn made(mut self) {
        self.made = true;
    }
}

impl Drop for KeyChangeTurn<'_> {
    fn drop(&mut self) {
        if self.made {
            return;
        }
        let mut changes = self.limits.lock();
        if let Some(times) = changes.get_mut(&self.account)
            && let Some(place) = times.iter().position(|at| *at == self.at)
        {
            times.remove(place);
        }
    }
}

impl fmt::Debug for KeyChangeLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyChangeLimits")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn account(seed: u64) -> AccountId {
        AccountId::generate(NOW, &mut StdRng::seed_from_u64(seed))
    }

    fn limits(most: u32) -> KeyChangeLimits {
        KeyChangeLimits::new(NonZeroU32::new(most).unwrap())
    }

    fn at(seconds: i64) -> OffsetDateTime {
        NOW + Duration::seconds(seconds)
    }

    #[test]
    fn an_account_makes_no_more_changes_within_any_minute() {
        // K16
        let (limits, ada) = (limits(2), account(1));
        limits.begin(ada, at(0)).unwrap().made();
        limits.begin(ada, at(50)).unwrap().made();
        let refused = |second| limits.begin(ada, at(second)).unwrap_err().0;
        assert_eq!(refused(51), Duration::seconds(9));
        assert_eq!(refused(59), Duration::SECOND);
        limits.begin(ada, at(60)).unwrap().made();
        assert_eq!(refused(61), Duration::seconds(49));
        limits.begin(account(2), at(61)).unwrap().made();
    }

    #[test]
    fn a_change_that_comes_to_nothing_does_not_count() {
        // K16
        let (limits, ada) = (limits(1), account(1));
        for _ in 0..5 {
            drop(limits.begin(ada, at(0)).unwrap());
        }
        let begun = limits.begin(ada, at(0)).unwrap();
        assert!(limits.begin(ada, at(1)).is_err(), "it is being made");
        drop(begun);
        limits.begin(ada, at(1)).unwrap().made();
        assert!(limits.begin(ada, at(1)).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody_for_longer() {
        let (limits, ada) = (limits(1), account(1));
        limits.begin(ada, at(7200)).unwrap().made();
        limits.begin(ada, at(0)).unwrap().made();
        assert!(limits.begin(ada, at(0)).is_err());
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let limits = limits(1);
        for seed in 0..20_000 {
            let at = at(i64::try_from(seed).unwrap());
            limits.begin(account(seed), at).unwrap().made();
        }
        assert!(limits.lock().len() < 4 * FORGET_EVERY);
    }
}
