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

#[cfg(test)]
mod tests {
    use super::*;

    // K2
    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", Secret::new("rgpu_secret".into())), "Secret");
    }
}
