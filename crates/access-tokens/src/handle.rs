//! What a token is called on the wire and in clusters: `cwtoken-<hash>` (contract T2).

use std::{fmt, str::FromStr};

use rand::CryptoRng;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const HASH_LEN: usize = 10;

/// The word that tokens' identifiers begin with: configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWord(String);

/// Why a word was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 20 of a-z and 0-9, with hyphens between them")]
pub struct InvalidTokenWord;

impl TokenWord {
    /// How long a word may be.
    pub const MAX_CHARS: usize = 20;

    /// Takes lowercase letters and digits, with hyphens between them.
    pub fn parse(text: &str) -> Result<Self, InvalidTokenWord> {
        let fits = (1..=Self::MAX_CHARS).contains(&text.len());
        let ends = text.starts_with('-') || text.ends_with('-');
        if !fits || ends || !text.bytes().all(|byte| byte == b'-' || is_of_hash(byte)) {
            return Err(InvalidTokenWord);
        }
        Ok(Self(text.to_owned()))
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TokenWord {
    /// The reference's.
    fn default() -> Self {
        Self("cwtoken".to_owned())
    }
}

fn is_of_hash(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// What a token is called where people see it: no secret, and never another one's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHandle(String);

/// A text that no token is called by. Callers answer it as an unknown one (contract C5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an access token's identifier")]
pub struct MalformedTokenHandle;

impl TokenHandle {
    /// Makes a new one, each character drawn without bias.
    pub fn generate(word: &TokenWord, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut handle = format!("{}-", word.as_str());
        let whole = handle.len() + HASH_LEN;
        while handle.len() < whole {
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes);
            // 252 is the greatest multiple of 36 in a byte.
            let drawn = bytes.iter().filter(|byte| **byte < 252);
            for byte in drawn.take(whole - handle.len()) {
                handle.push(char::from(ALPHABET[usize::from(*byte % 36)]));
            }
        }
        Self(handle)
    }

    /// Takes a text that may be one, whatever its word: the configuration may have had
    /// another one when the token was made.
    pub fn parse(text: &str) -> Result<Self, MalformedTokenHandle> {
        let (word, hash) = text.rsplit_once('-').ok_or(MalformedTokenHandle)?;
        let fits = hash.len() == HASH_LEN && hash.bytes().all(is_of_hash);
        if !fits || TokenWord::parse(word).is_err() {
            return Err(MalformedTokenHandle);
        }
        Ok(Self(text.to_owned()))
    }

    /// The handle as it was stored.
    pub fn from_stored(handle: String) -> Self {
        Self(handle)
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenHandle {
    type Err = MalformedTokenHandle;

    fn from_str(text: &str) -> Result<Self, MalformedTokenHandle> {
        Self::parse(text)
    }
}

impl fmt::Display for TokenHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rand::{rand_core::UnwrapErr, rngs::SysRng};

    use super::*;

    #[test]
    fn a_handle_is_the_word_and_ten_characters() {
        // T2
        for word in ["cwtoken", "a", "my-own-token9"] {
            let word = TokenWord::parse(word).unwrap();
            let handle = TokenHandle::generate(&word, &mut UnwrapErr(SysRng));
            let hash = handle.as_str().strip_prefix(word.as_str()).unwrap();
            let hash = hash.strip_prefix('-').unwrap();
            assert!(hash.len() == 10 && hash.bytes().all(is_of_hash), "{handle}");
            assert_eq!(TokenHandle::parse(handle.as_str()), Ok(handle));
        }
        let handle = TokenHandle::generate(&TokenWord::default(), &mut UnwrapErr(SysRng));
        assert!(handle.as_str().starts_with("cwtoken-"));
    }

    #[test]
    fn what_no_token_is_called_by_is_malformed() {
        for bad in [
            "",
            "cwtoken",
            "cwtoken-",
            "cwtoken-short",
            "cwtoken-abcdefghij0",
            "cwtoken-ABCDEFGHIJ",
            "-abcdefghij",
            "CWtoken-abcdefghij",
            "cwtoken_abcdefghij",
            "../../x-abcdefghij",
            "cwtoken-abcdefghi\u{e9}",
            "0198c0de-0000-7000-8000-000000000001",
        ] {
            assert_eq!(TokenHandle::parse(bad), Err(MalformedTokenHandle), "{bad}");
        }
    }

    #[test]
    fn a_word_has_nothing_that_a_file_name_or_an_identifier_may_not_have() {
        // T2
        let long = "x".repeat(21);
        for bad in ["", "-a", "a-", "Cwtoken", "a b", "a/b", "a:b", "ü", &long] {
            assert_eq!(TokenWord::parse(bad), Err(InvalidTokenWord), "{bad}");
        }
    }
}
