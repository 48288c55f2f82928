//! The secret itself: its format, checksum and hash (contract K2, K3).

use std::fmt;

use rand::CryptoRng;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "rgpu_";
const RANDOM_LEN: usize = 30;
const CHECKSUM_LEN: usize = 6;
const BODY_LEN: usize = PREFIX.len() + RANDOM_LEN;
const KEY_LEN: usize = BODY_LEN + CHECKSUM_LEN;
const SHOWN_LEN: usize = PREFIX.len() + 8;

/// A raw API key. It is answered once, by what made it, and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainApiKey(String);

/// The SHA-256 of a whole raw key: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedApiKey(pub [u8; 32]);

/// The part of a key that may be shown: `rgpu_` and the next eight characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

/// A text that can be no key: its length, alphabet or checksum is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct MalformedKey;

impl PlainApiKey {
    /// Makes a new key, each character drawn without bias.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = String::with_capacity(KEY_LEN);
        key.push_str(PREFIX);
        while key.len() < BODY_LEN {
            let mut bytes = [0; 64];
            rng.fill_bytes(&mut bytes);
            // 248 is the greatest multiple of 62 in a byte; what lies above it
            // would make the first characters likelier than the others.
            let drawn = bytes.iter().filter(|byte| **byte < 248);
            for byte in drawn.take(BODY_LEN - key.len()) {
                key.push(char::from(ALPHABET[usize::from(*byte % 62)]));
            }
        }
        let checksum = checksum(&key);
        key.push_str(&checksum);
        Self(key)
    }

    /// Takes a text as a key if its length, alphabet and checksum say that it
    /// may be one.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let alphabet = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if text.len() != KEY_LEN || !text.starts_with(PREFIX) || !alphabet(&text[PREFIX.len()..]) {
            return Err(MalformedKey);
        }
        let (body, check) = text.split_at(BODY_LEN);
        if checksum_digits(body) == *check.as_bytes() {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedKey)
        }
    }

    /// What is stored in the key's place.
    pub fn hash(&self) -> HashedApiKey {
        HashedApiKey(Sha256::digest(self.0.as_bytes()).into())
    }

    /// What may be shown of the key ever after.
    pub fn prefix(&self) -> KeyPrefix {
        KeyPrefix(self.0[..SHOWN_LEN].to_owned())
    }

    /// The raw key, for the one answer that tells it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainApiKey")
    }
}

impl fmt::Debug for HashedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedApiKey")
    }
}

impl KeyPrefix {
    /// The prefix as it was stored.
    pub fn from_stored(prefix: String) -> Self {
        Self(prefix)
    }

    /// The prefix as text that is one's own.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPrefix({})", self.0)
    }
}

/// The six characters that end a secret of this format: the CRC-32 (IEEE) of
/// what stands before them, in base 62, most significant digit first, padded
/// with `0` (contract K3).
pub fn checksum(body: &str) -> String {
    checksum_digits(body).into_iter().map(char::from).collect()
}

fn checksum_digits(body: &str) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::SysRng};

    use super::*;

    fn system() -> impl CryptoRng {
        rand::rand_core::UnwrapErr(SysRng)
    }

    #[test]
    fn worked_examples_have_their_checksums() {
        // K3
        for (body, check) in [
            ("rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "16C57V"),
            ("rgpu_0123456789ABCDEFGHIJKLMNOPQRST", "33fh1v"),
        ] {
            assert_eq!(checksum(body), check);
            assert!(PlainApiKey::parse(&format!("{body}{check}")).is_ok());
        }
    }

    #[test]
    fn generated_key_has_the_documented_form() {
        // K3
        let key = PlainApiKey::generate(&mut system());
        assert_eq!(key.reveal().len(), 41);
        assert!(PlainApiKey::parse(key.reveal()).is_ok());
        assert_eq!(key.prefix().as_str(), &key.reveal()[..13]);
    }

    #[test]
    fn every_character_is_as_likely_as_every_other() {
        // K3: chi-squared over 62 characters; 61 degrees of freedom, and 130 is
        // beyond one in a million. A seeded generator makes the test repeatable.
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut counts = [0_u32; 62];
        let keys = 20_000_u32;
        for _ in 0..keys {
            let key = PlainApiKey::generate(&mut rng);
            for byte in key.reveal()[PREFIX.len()..BODY_LEN].bytes() {
                counts[ALPHABET.iter().position(|a| *a == byte).unwrap()] += 1;
            }
        }
        let expected = f64::from(keys * 30) / 62.0;
        let chi: f64 = counts
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 130.0, "{chi}");
    }

    #[test]
    fn nothing_but_the_type_is_printed() {
        // K2
        let key = PlainApiKey::generate(&mut system());
        assert_eq!(
            format!("{key:?} {:?}", key.hash()),
            "PlainApiKey HashedApiKey"
        );
    }

    #[test]
    fn wrong_length_alphabet_or_prefix_is_malformed() {
        // A4
        let key = PlainApiKey::generate(&mut system());
        let good = key.reveal();
        for bad in [
            "",
            "rgpu_",
            &good[1..],
            &format!("{good}0"),
            &good.replacen("rgpu_", "rgat_", 1),
            &good.replacen("rgpu_", "RGPU_", 1),
            &format!("{}-{}", &good[..20], &good[21..]),
            &format!(" {}", &good[1..]),
            &"ü".repeat(20),
        ] {
            assert!(PlainApiKey::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_is_always_found(seed: u64, place in 5_usize..41, other in 0_usize..62) {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let key = PlainApiKey::generate(&mut rng);
            let mut changed = key.reveal().as_bytes().to_vec();
            prop_assume!(changed[place] != ALPHABET[other]);
            changed[place] = ALPHABET[other];
            prop_assert!(PlainApiKey::parse(std::str::from_utf8(&changed).unwrap()).is_err());
        }
    }
}
