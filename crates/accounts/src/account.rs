//! Accounts, and what a person may do in one (contract A11).

use std::{fmt, str::FromStr};

use remotegpu_primitives::AccountId;
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

/// An account's name: 1 to 64 characters, trimmed, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName(String);

/// Why an account's name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("account_name must have 1 to 64 characters and no control characters")]
pub struct InvalidAccountName;

impl AccountName {
    /// Trims and judges.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountName> {
        let name = text.trim();
        let fits = (1..=64).contains(&name.chars().count());
        if !fits || name.chars().any(char::is_control) {
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

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("role must be read, write or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_smaller_may() {
        // A11
        let roles = [Role::Read, Role::Write, Role::Admin];
        for (i, has) in roles.iter().enumerate() {
            for (j, needed) in roles.iter().enumerate() {
                assert_eq!(has.allows(*needed), i >= j);
            }
            assert_eq!(has.as_str().parse(), Ok(*has));
        }
        assert!("owner".parse::<Role>().is_err());
    }
}
