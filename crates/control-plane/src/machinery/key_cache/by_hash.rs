//! What is found by the hash of a secret.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{Cache, DefaultLifecycle},
};

/// What is remembered of what had to go, as a part of the cache's size: it
/// tells which of those that come back are in steady use.
const GHOSTS: f64 = 0.1;

pub(super) type ByHash<E> = Cache<
    Fingerprint,
    E,
    UnitWeighter,
    BuildHasherDefault<FirstBytes>,
    DefaultLifecycle<Fingerprint, E>,
>;

/// Room for about `capacity`; none at 0. Room is made for `expected` at once.
pub(super) fn by_hash<E: Clone>(capacity: usize, expected: usize) -> Option<ByHash<E>> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(expected)
        .weight_capacity(capacity as u64)
        .ghost_allocation(GHOSTS)
        .build();
    let options = options.ok().filter(|_| capacity > 0)?;
    let (hasher, lifecycle) = (BuildHasherDefault::default(), DefaultLifecycle::default());
    Some(Cache::with_options(
        options,
        UnitWeighter,
        hasher,
        lifecycle,
    ))
}

/// Half of a hash. Whoever would be taken for another must find a second text
/// for 128 given bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub fn of(hash: &[u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
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
pub(super) struct FirstBytes(u64);

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
