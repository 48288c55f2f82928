//! Passwords: what may be one, and what is stored of it (contract A8). Hashing
//! is dear on purpose; callers run it where it holds nobody up.

use std::fmt;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use rand::CryptoRng;

/// A password as it was typed.
#[derive(Clone)]
pub struct PlainPassword(String);

/// An Argon2id hash in its text form (PHC string).
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword(String);

/// Why a password was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password must have 12 to 128 characters")]
pub struct InvalidPassword;

/// A stored hash that is none, or a hash that could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password hash is unreadable")]
pub struct UnreadablePasswordHash;

impl PlainPassword {
    /// Takes a password that may be set: 12 to 128 Unicode scalar values.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if (12..=128).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPassword)
        }
    }

    /// Takes what somebody typed to sign in. It may be no password at all; what
    /// is longer than any password may be is cut, so that it costs no more.
    pub fn presented(text: &str) -> Self {
        Self(text.chars().take(129).collect())
    }

    /// Hashes with Argon2id and the library's parameters (19 MiB, 2 passes: the
    /// OWASP minimum). Takes tens of milliseconds of one core.
    pub fn hash(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<HashedPassword, UnreadablePasswordHash> {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        self.hash_with_salt(salt)
    }

    /// As [`PlainPassword::hash`], with a salt that was drawn before: for
    /// callers that hash on another thread.
    pub fn hash_with_salt(&self, salt: [u8; 16]) -> Result<HashedPassword, UnreadablePasswordHash> {
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(self.0.as_bytes(), &salt)
            .map_err(|_| UnreadablePasswordHash)?;
        Ok(HashedPassword(hash.to_string()))
    }

    /// Whether this is the password that was hashed; as dear as hashing.
    pub fn matches(&self, stored: &HashedPassword) -> Result<bool, UnreadablePasswordHash> {
        let hash = PasswordHash::new(&stored.0).map_err(|_| UnreadablePasswordHash)?;
        Ok(Argon2::default()
            .verify_password(self.0.as_bytes(), &hash)
            .is_ok())
    }

    /// The password, for the one place that tells it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl HashedPassword {
    /// The hash as it was stored.
    pub fn from_stored(hash: String) -> Self {
        Self(hash)
    }

    /// The hash as text, for the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash that no password matches, as dear to compare as a real one: it
    /// stands in for a user who does not exist (contract A8).
    pub fn of_nobody() -> Self {
        Self(NOBODY.to_owned())
    }
}

// Made of random bytes that were thrown away.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keS0\
                      $Rk1mVnJ2c2dQc0x1c0V6cXdKZ0hUeXBLc1ZhQ2JOeGM";

/// A password that is handed out once and must be changed (contract A10): 120
/// random bits in characters that are read aloud without mistakes.
pub fn one_time_password(rng: &mut (impl CryptoRng + ?Sized)) -> PlainPassword {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 24];
    rng.fill_bytes(&mut bytes);
    let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let groups: Vec<String> = letters
        .chunks(6)
        .map(|group| group.iter().collect())
        .collect();
    PlainPassword(groups.join("-"))
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword")
    }
}

impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedPassword")
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_password_has_twelve_to_a_hundred_and_twenty_eight_characters() {
        // A8
        for (text, fits) in [
            ("x".repeat(11), false),
            ("x".repeat(12), true),
            ("ü".repeat(128), true),
            ("x".repeat(129), false),
        ] {
            assert_eq!(PlainPassword::parse(&text).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn only_the_same_password_matches() {
        // A8
        let rng = &mut StdRng::seed_from_u64(1);
        let password = PlainPassword::parse("correct horse battery").unwrap();
        let hash = password.hash(rng).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(password.matches(&hash).unwrap());
        assert!(
            !PlainPassword::presented("correct horse")
                .matches(&hash)
                .unwrap()
        );
        assert_eq!(
            format!("{password:?} {hash:?}"),
            "PlainPassword HashedPassword"
        );
    }

    #[test]
    fn nobody_s_hash_is_as_dear_as_a_real_one_and_matches_nothing() {
        // A8: the same parameters, and lengths that the comparison reads whole.
        let nobody = HashedPassword::of_nobody();
        let real = PlainPassword::presented("x")
            .hash(&mut StdRng::seed_from_u64(2))
            .unwrap();
        let parameters =
            |hash: &HashedPassword| hash.as_str().rsplitn(3, '$').nth(2).map(str::to_owned);
        assert_eq!(parameters(&nobody), parameters(&real));
        assert!(!PlainPassword::presented("nobody").matches(&nobody).unwrap());
    }

    #[test]
    fn a_one_time_password_is_a_password() {
        // A10
        let one = one_time_password(&mut StdRng::seed_from_u64(3));
        assert!(PlainPassword::parse(one.reveal()).is_ok());
        assert_eq!(one.reveal().len(), 27);
    }
}
