//! Clock, builders and servers for tests. Never a normal dependency.

pub mod clock;
pub mod cluster;
pub mod control_plane;
pub mod postgres;
pub mod store;

/// The operating system's generator of randomness.
pub fn rng() -> impl rand::CryptoRng + Send + 'static {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}
