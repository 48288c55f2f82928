//! What somebody noted beside a token (contract T5).

use remotegpu_primitives::is_unfit_in_a_name;

/// A note: 1 to 256 Unicode scalar values, trimmed, with nothing in it that would break a
/// line or turn the reading direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenNote(String);

/// Why a note was refused; the text is the API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenNote {
    /// Too long.
    #[error("note must have at most 256 characters")]
    Length,
    /// A control character, a separator of lines or paragraphs, a bidi control.
    #[error("note must not contain control characters, line separators or bidirectional controls")]
    Character,
}

impl TokenNote {
    /// How many Unicode scalar values a note may have.
    pub const MAX_CHARS: usize = 256;

    /// Trims `White_Space` and judges the rest; what is empty then is no note.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidTokenNote> {
        let note = text.trim();
        if note.chars().any(is_unfit_in_a_name) {
            return Err(InvalidTokenNote::Character);
        }
        if note.chars().count() > Self::MAX_CHARS {
            return Err(InvalidTokenNote::Length);
        }
        Ok((!note.is_empty()).then(|| Self(note.to_owned())))
    }

    /// The note as it was stored.
    pub fn from_stored(note: String) -> Self {
        Self(note)
    }

    /// The note as text that is one's own.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The note as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_trimmed_counted_and_may_be_none() {
        // T5, K4
        let parsed =
            |text: &str| TokenNote::parse(text).map(|note| note.map(TokenNote::into_string));
        assert_eq!(parsed("  my laptop "), Ok(Some("my laptop".to_owned())));
        assert_eq!(parsed(" \u{3000}"), Ok(None));
        assert!(parsed(&"\u{1F980}".repeat(256)).is_ok());
        assert_eq!(parsed(&"x".repeat(257)), Err(InvalidTokenNote::Length));
        for bad in ["a\nb", "a\u{202E}b", "a\u{0}b"] {
            assert_eq!(parsed(bad), Err(InvalidTokenNote::Character), "{bad:?}");
        }
    }
}
