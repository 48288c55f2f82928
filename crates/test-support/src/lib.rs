//! Clock, builders and servers for tests. Never a normal dependency.

use remotegpu_primitives::{Act, Actor, Origin};
use time::OffsetDateTime;

pub mod clock;
pub mod cluster;
pub mod control_plane;
pub mod left_out;
pub mod port_suite;
pub mod ports;
pub mod postgres;
pub mod self_signed;
pub mod stopwatch;
pub mod store;

/// An act of the operator at `now`.
pub fn act(now: OffsetDateTime) -> Act {
    Act::new(Actor::Operator, Origin::default(), &mut rng(), now)
}

/// The operating system's generator of randomness.
pub fn rng() -> impl rand::CryptoRng + Send + 'static {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}
