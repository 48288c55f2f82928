//! The one format of the secrets that programs hold: a prefix that tells their kind, 30
//! random characters, and a checksum (contract K2, K3).

use std::{fmt, hash::Hash, marker::PhantomData};

use rand::CryptoRng;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LEN: usize = 5;
const RANDOM_LEN: usize = 30;
const CHECKSUM_LEN: usize = 6;
const BODY_LEN: usize = PREFIX_LEN + RANDOM_LEN;
const SECRET_LEN: usize = BODY_LEN + CHECKSUM_LEN;
const SHOWN_LEN: usize = PREFIX_LEN + 8;

/// A kind of secret: one of another kind is none.
pub trait SecretKind: Copy + Eq + Hash + 'static {
    /// What all of the kind begin with: four letters and `_`.
    const PREFIX: &'static str;
    /// What a secret of the kind opens things as; all that `Debug` tells of one.
    const NAME: &'static str;
}

/// A raw secret. It is answered once, by what made it, and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainSecret<K>(String, PhantomData<K>);

/// The SHA-256 of a whole raw secret: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedSecret<K>(pub [u8; 32], PhantomData<K>);

/// The part of a secret that may be shown: what tells its kind, and the next eight characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretPrefix(String);

/// A text that can be no secret of the kind: its prefix, length, alphabet or checksum is
/// wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret of this kind")]
pub struct MalformedSecret;

/// The kind of API keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiKeySecret {}

/// A raw API key.
pub type PlainApiKey = PlainSecret<ApiKeySecret>;

/// What is stored of an API key.
pub type HashedApiKey = HashedSecret<ApiKeySecret>;

impl SecretKind for ApiKeySecret {
    const PREFIX: &'static str = "rgpu_";
    const NAME: &'static str = "ApiKey";
}

impl<K: SecretKind> PlainSecret<K> {
    /// Makes a new secret, each character drawn without bias.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        const { assert!(K::PREFIX.len() == PREFIX_LEN) };
        let mut secret = String::with_capacity(SECRET_LEN);
        secret.push_str(K::PREFIX);
        while secret.len() < BODY_LEN {
            let mut bytes = [0; 64];
            rng.fill_bytes(&mut bytes);
            // 248 is the greatest multiple of 62 in a byte; what lies above it
            // would make the first characters likelier than the others.
            let drawn = bytes.iter().filter(|byte| **byte < 248);
            for byte in drawn.take(BODY_LEN - secret.len()) {
                secret.push(char::from(ALPHABET[usize::from(*byte % 62)]));
            }
        }
        let checksum = checksum(&secret);
        secret.push_str(&checksum);
        Self(secret, PhantomData)
    }

    /// Takes a text as a secret if its length, alphabet and checksum say that it
    /// may be one.
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        let rest = text.strip_prefix(K::PREFIX).ok_or(MalformedSecret)?;
        if text.len() != SECRET_LEN || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(MalformedSecret);
        }
        let (body, check) = text.split_at(BODY_LEN);
        if checksum_digits(body) == *check.as_bytes() {
            Ok(Self(text.to_owned(), PhantomData))
        } else {
            Err(MalformedSecret)
        }
    }

    /// What is stored in its place.
    pub fn hash(&self) -> HashedSecret<K> {
        HashedSecret::from_stored(Sha256::digest(self.0.as_bytes()).into())
    }

    /// What may be shown of it ever after.
    pub fn prefix(&self) -> SecretPrefix {
        SecretPrefix(self.0[..SHOWN_LEN].to_owned())
    }

    /// The raw secret, for the one answer that tells it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<K> HashedSecret<K> {
    /// The hash as it was stored.
    pub fn from_stored(hash: [u8; 32]) -> Self {
        Self(hash, PhantomData)
    }
}

impl<K: SecretKind> fmt::Debug for PlainSecret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain{}", K::NAME)
    }
}

impl<K: SecretKind> fmt::Debug for HashedSecret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashed{}", K::NAME)
    }
}

impl SecretPrefix {
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

impl fmt::Debug for SecretPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretPrefix({})", self.0)
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
            for byte in key.reveal()[PREFIX_LEN..BODY_LEN].bytes() {
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
    fn a_secret_of_another_kind_is_malformed() {
        // A3, A4
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        enum Other {}
        impl SecretKind for Other {
            const PREFIX: &'static str = "rgxx_";
            const NAME: &'static str = "Other";
        }
        let other = PlainSecret::<Other>::generate(&mut system());
        assert!(other.reveal().starts_with("rgxx_"));
        assert_eq!(PlainSecret::parse(other.reveal()), Ok(other.clone()));
        assert_eq!(PlainApiKey::parse(other.reveal()), Err(MalformedSecret));
        assert_eq!(
            format!("{other:?} {:?}", other.hash()),
            "PlainOther HashedOther"
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
