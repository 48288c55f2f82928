//! Ports of the loopback interface for servers that tests start.

#![allow(
    clippy::expect_used,
    reason = "Whoever asks is a test, which fails by panicking."
)]

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

/// Below those that the system gives to clients and to listeners that name none: one of these
/// could take it before the server does, or while the server is stopped.
const FIRST: u64 = 20_000;
const COUNT: u64 = 12_000;

/// What this process has been given, until it ends.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port that nobody listens on, and that no other test is given while this process lives:
/// between being given a port and listening on it a server takes its time.
///
/// # Panics
/// The folder for temporary files cannot be written.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("remotegpu-test-ports");
    fs::create_dir_all(&folder).expect("a folder for the ports of tests");
    loop {
        // Each hasher is seeded by chance, which is all that this needs.
        let random = RandomState::new().build_hasher().finish();
        let port = u16::try_from(FIRST + random % COUNT).expect("it is below 65536");
        let file = File::create(folder.join(port.to_string())).expect("a file for a port");
        if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(file);
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_is_given_a_port_twice() {
        let ports: BTreeSet<u16> = (0..2_000).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 2_000);
    }
}
