//! Words in a store, which may be a newer version's (contract R6).

use std::fmt;

/// Words each of which this version knows what to do with.
pub trait Vocabulary: Copy + Eq {
    /// The word on the wire and in the store.
    fn word(self) -> &'static str;

    /// What has this word.
    fn of_word(word: &str) -> Option<Self>;
}

/// A word that was read from a store. One that a newer version wrote is shown as it
/// is, and is equal to none that this version knows: so it opens nothing, and nobody
/// acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// One that this version knows.
    Known(T),
    /// One that it does not.
    Unknown(String),
}

impl<T: Vocabulary> Word<T> {
    /// Reads what stands in a store.
    pub fn from_stored(word: String) -> Self {
        match T::of_word(&word) {
            Some(known) => Self::Known(known),
            None => Self::Unknown(word),
        }
    }

    /// What the word means, where this version knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Unknown(_) => None,
        }
    }

    /// The word, whoever wrote it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.word(),
            Self::Unknown(word) => word,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(known: T) -> Self {
        Self::Known(known)
    }
}

impl<T: PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(known) if known == other)
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Yes;

    impl Vocabulary for Yes {
        fn word(self) -> &'static str {
            "yes"
        }

        fn of_word(word: &str) -> Option<Self> {
            (word == "yes").then_some(Self)
        }
    }

    #[test]
    fn a_word_that_nobody_knows_is_shown_and_means_nothing() {
        // R6
        let known = Word::<Yes>::from_stored("yes".to_owned());
        assert_eq!((known.as_str(), known.known()), ("yes", Some(Yes)));
        assert_eq!(known, Yes);
        let unknown = Word::<Yes>::from_stored("maybe".to_owned());
        assert_eq!(
            (unknown.to_string().as_str(), unknown.known()),
            ("maybe", None)
        );
        assert_ne!(unknown, Yes);
    }
}
