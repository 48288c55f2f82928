//! A clock that stands still until it is moved.

use std::sync::{Mutex, PoisonError};

use remotegpu_primitives::Clock;
use time::{Duration, OffsetDateTime, macros::datetime};

/// A clock for tests; it starts on the first day of 2026.
#[derive(Debug)]
pub struct TestClock(Mutex<OffsetDateTime>);

impl Default for TestClock {
    fn default() -> Self {
        Self(Mutex::new(datetime!(2026-01-01 00:00 UTC)))
    }
}

impl TestClock {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
