//! Accounts, and what a person may do in one (contract A11).

use std::{fmt, str::FromStr};

use remotegpu_primitives::{AccountId, Vocabulary, is_unfit_in_a_name};
use time::OffsetDateTime;

/// The tenant that owns keys, namespaces and tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's identifier.
    pub id: AccountId,
    /// What it is called.
    pub name: AccountName,
    /// Limits of its own; the installation's hold where absent.
    pub limits: AccountLimits,
    /// When it was suspended (contract A13).
    pub suspended_at: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// Limits that hold for one account instead of the installation's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// How many active keys (contract K8).
    pub keys: Option<u32>,
    /// How many namespaces (contract N3).
    pub namespaces: Option<u32>,
}

/// What becomes of an account's own limits; each by itself, so that two who change one
/// each undo nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitChanges {
    /// Of keys.
    pub keys: LimitChange,
    /// Of namespaces.
    pub namespaces: LimitChange,
}

/// What becomes of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LimitChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// The installation's limit holds.
    Default,
    /// This one holds.
    Own(u32),
}

impl LimitChange {
    /// Whether it is another by this.
    pub fn is_given(self) -> bool {
        self != Self::Keep
    }

    /// The limit of the account's own that this asks for, if it asks for one.
    pub fn own(self) -> Option<u32> {
        match self {
            Self::Own(limit) => Some(limit),
            Self::Keep | Self::Default => None,
        }
    }
}

/// An account's name: 1 to 64 characters, trimmed, with nothing in it that would
/// break a line or turn the reading direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName(String);

/// Why an account's name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "account_name must have 1 to 64 characters and no control characters, line separators or bidirectional controls"
)]
pub struct InvalidAccountName;

impl AccountName {
    /// Trims and judges.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountName> {
        let name = text.trim();
        let fits = (1..=64).contains(&name.chars().count());
        if !fits || name.chars().any(is_unfit_in_a_name) {
            return Err(InvalidAccountName);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user may do in an account; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees.
    Read,
    /// Creates, changes and deploys.
    Write,
    /// Manages members too.
    Admin,
}

impl Role {
    /// Whether this role may do what `needed` may.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }

    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The words of this role and of those that may do more.
    pub fn and_above(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["read", "write", "admin"],
            Self::Write => &["write", "admin"],
            Self::Admin => &["admin"],
        }
    }

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl Vocabulary for Role {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("role must be read, write or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_breaks_no_line_and_turns_no_text() {
        let trimmed = AccountName::parse("  Ünïon \u{3000}").unwrap();
        assert_eq!(trimmed.as_str(), "Ünïon");
        assert!(AccountName::parse(&"🦀".repeat(64)).is_ok());
        let long = "x".repeat(65);
        for bad in [
            "",
            " \u{a0}",
            &long,
            "a\nb",
            "a\u{85}b",
            "\u{1b}[31m",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{061C}b",
            "a\u{200E}b",
            "a\u{200F}b",
            "a\u{202A}b",
            "a\u{202E}b",
            "a\u{2066}b",
            "a\u{2069}b",
        ] {
            assert_eq!(AccountName::parse(bad), Err(InvalidAccountName), "{bad:?}");
        }
    }

    #[test]
    fn each_role_may_do_what_the_smaller_may() {
        // A11
        let roles = [Role::Read, Role::Write, Role::Admin];
        for (i, has) in roles.iter().enumerate() {
            for (j, needed) in roles.iter().enumerate() {
                assert_eq!(has.allows(*needed), i >= j);
            }
            assert_eq!(has.as_str().parse(), Ok(*has));
            let above: Vec<&str> = roles[i..].iter().map(|role| role.as_str()).collect();
            assert_eq!(has.and_above(), above);
        }
        assert!("owner".parse::<Role>().is_err());
    }
}
