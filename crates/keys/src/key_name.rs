//! What a key may be called (contract K4).

use std::fmt;

use remotegpu_primitives::is_unfit_in_a_name;

/// A key's name: 1 to 64 Unicode scalar values, trimmed, with nothing in it
/// that would break a line or turn the reading direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

/// Why a name was refused; the text is the API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyName {
    /// Empty once trimmed, or too long.
    #[error("name must have 1 to 64 characters")]
    Length,
    /// A control character, a separator of lines or paragraphs, a bidi control.
    #[error("name must not contain control characters, line separators or bidirectional controls")]
    Character,
}

impl KeyName {
    /// How many Unicode scalar values a name may have.
    pub const MAX_CHARS: usize = 64;

    /// Trims `White_Space` and judges the rest.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyName> {
        let name = text.trim();
        if name.chars().any(is_unfit_in_a_name) {
            return Err(InvalidKeyName::Character);
        }
        if name.is_empty() || name.chars().count() > Self::MAX_CHARS {
            return Err(InvalidKeyName::Length);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name as text that is one's own.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_then_counted_in_scalar_values() {
        // K4
        assert_eq!(KeyName::parse("  ci \u{3000}").unwrap().as_str(), "ci");
        assert!(KeyName::parse(&"ü".repeat(64)).is_ok());
        assert!(KeyName::parse(&format!("  {}  ", "🦀".repeat(64))).is_ok());
        for bad in ["", "   ", "\u{00A0}", &"x".repeat(65), &"🦀".repeat(65)] {
            assert_eq!(KeyName::parse(bad), Err(InvalidKeyName::Length), "{bad:?}");
        }
    }

    #[test]
    fn what_would_break_a_line_or_turn_it_is_refused() {
        // K4
        for bad in [
            "a\nb",
            "a\u{0}b",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{202E}b",
            "a\u{2066}b",
            "a\u{200F}b",
            "a\u{061C}b",
            "\u{1b}[31m",
        ] {
            assert_eq!(
                KeyName::parse(bad),
                Err(InvalidKeyName::Character),
                "{bad:?}"
            );
        }
        assert!(KeyName::parse("null; $(id) 'quoted' \"too\" #").is_ok());
    }
}
