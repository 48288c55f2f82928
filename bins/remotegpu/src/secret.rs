//! Texts that are never printed by accident.

use std::fmt;

/// A password, an API key or a session token.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The part of an API key that is no secret (contract K3).
pub const PREFIX_LENGTH: usize = 13;

/// The text with every API key and session token in it cut to where it is no secret yet.
pub fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((at, begin)) = ["rgpu_", "rgse_", "rgsu_", "rgat_"]
        .into_iter()
        .filter_map(|begin| Some((rest.find(begin)?, begin)))
        .min()
    {
        let length = rest[at + begin.len()..]
            .bytes()
            .take_while(u8::is_ascii_alphanumeric)
            .count();
        let shown = match begin {
            "rgpu_" => length.min(PREFIX_LENGTH - begin.len()),
            _ => 0,
        };
        masked.push_str(&rest[..at + begin.len() + shown]);
        if shown < length {
            masked.push_str("...");
        }
        rest = &rest[at + begin.len() + length..];
    }
    masked + rest
}

/// Takes a name, unless it is a secret: a name is shown to everybody in the account.
pub fn parse_name(text: &str) -> Result<String, String> {
    if masked(text) == text {
        Ok(text.to_owned())
    } else {
        Err("this is a secret, and no name for anything".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // K2
    #[test]
    fn a_text_shows_no_more_of_a_key_than_its_prefix() {
        for (text, shown) in [
            ("laptop", "laptop"),
            ("rgpu_aaaaaaaa", "rgpu_aaaaaaaa"),
            (
                "rgpu_0123456789ABCDEFGHIJKLMNOPQRST33fh1v",
                "rgpu_01234567...",
            ),
            (
                "x rgpu_012345678, rgse_ab;",
                "x rgpu_01234567..., rgse_...;",
            ),
            ("größe rgpu_", "größe rgpu_"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(parse_name(text).is_ok(), text == shown);
        }
    }

    // K2
    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", Secret::new("rgpu_secret".into())), "Secret");
    }
}
