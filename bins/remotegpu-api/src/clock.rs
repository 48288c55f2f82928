//! The one place that reads the clock.

use remotegpu_primitives::Clock;
use time::OffsetDateTime;

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "everything else is given the time, so that tests can choose it"
    )]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// The operating system's generator of randomness.
pub fn system_rng() -> impl rand::CryptoRng + Send + 'static {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}
