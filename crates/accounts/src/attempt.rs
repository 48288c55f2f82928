//! Throttling of sign-in and sign-up (contract A8): what counts as one caller,
//! and how many attempts it has.

use std::net::{IpAddr, Ipv4Addr};

use remotegpu_primitives::Origin;
use sha2::{Digest, Sha256};
use time::Duration;

use crate::Email;

/// Where a request comes from, as throttling counts it: an IPv4 address, or the
/// /64 of an IPv6 one, which is one customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress([u8; 8]);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        let mut key = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(v4) => key[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => key.copy_from_slice(&v6.octets()[..8]),
        }
        Self(key)
    }
}

impl From<&Origin> for ClientAddress {
    /// What comes from nowhere is one caller.
    fn from(origin: &Origin) -> Self {
        origin
            .ip
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .into()
    }
}

impl ClientAddress {
    /// The bytes that are stored.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// Counted for the pair of e-mail and address, and for the address.
    SignIn,
    /// Counted for the address.
    SignUp,
}

/// One attempt, before it is known how it ends.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What is attempted.
    pub kind: AttemptKind,
    /// From where.
    pub address: ClientAddress,
    /// The SHA-256 of the e-mail: people type passwords into that field.
    pub email_hash: [u8; 32],
}

impl Attempt {
    /// How long an attempt counts.
    pub const WINDOW: Duration = Duration::MINUTE;
    /// How many failures a pair of e-mail and address has in the window.
    pub const PAIR_LIMIT: i64 = 10;
    /// How many an address has.
    pub const ADDRESS_LIMIT: i64 = 100;

    /// An attempt to sign in.
    pub fn sign_in(email: &Email, address: ClientAddress) -> Self {
        Self::new(AttemptKind::SignIn, email, address)
    }

    /// An attempt to sign up.
    pub fn sign_up(email: &Email, address: ClientAddress) -> Self {
        Self::new(AttemptKind::SignUp, email, address)
    }

    fn new(kind: AttemptKind, email: &Email, address: ClientAddress) -> Self {
        Self {
            kind,
            address,
            email_hash: Sha256::digest(email.as_str().as_bytes()).into(),
        }
    }

    /// The word in the store.
    pub fn kind_str(&self) -> &'static str {
        match self.kind {
            AttemptKind::SignIn => "sign_in",
            AttemptKind::SignUp => "sign_up",
        }
    }
}

/// Whether an attempt may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It may, and counts as a failure until it succeeds.
    Allowed,
    /// Too many; the next may come after this long.
    Throttled(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        // A8
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
