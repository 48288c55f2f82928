//! People (contract A11).

use std::fmt;

use remotegpu_primitives::{UserId, Word, is_unfit_in_a_name};
use time::OffsetDateTime;

use crate::{Account, HashedPassword, Role};

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's identifier.
    pub id: UserId,
    /// What they sign in with.
    pub email: Email,
    /// What is stored of their password.
    pub password: HashedPassword,
    /// Whether the password must be changed before anything else.
    pub password_change: PasswordChange,
    /// When the user was made.
    pub created_at: OffsetDateTime,
}

/// Whether a password is the user's own, or one that was handed out once
/// (contract A10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordChange {
    /// It is the user's own.
    NotNeeded,
    /// It opens only the route that changes it, and only until then.
    NeededUntil(OffsetDateTime),
}

impl PasswordChange {
    /// Whether the password was handed out once and its time is over.
    pub fn is_over(self, now: OffsetDateTime) -> bool {
        matches!(self, Self::NeededUntil(end) if end <= now)
    }
}

/// A user that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user's identifier.
    pub id: UserId,
    /// What they sign in with.
    pub email: Email,
    /// What is stored of their password.
    pub password: HashedPassword,
    /// Whether it must be changed first.
    pub password_change: PasswordChange,
    /// When the user is made.
    pub created_at: OffsetDateTime,
}

/// What a user is in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The account.
    pub account: Account,
    /// What the user may do there.
    pub role: Word<Role>,
    /// Whether it is the account that they last went over to (contract A11).
    pub last_acted_for: bool,
}

/// An e-mail address, trimmed and in lower case: what a user signs in with. It
/// is no proof that mail arrives there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// Why an address was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("email must be an address such as ada@example.org, at most 254 characters")]
pub struct InvalidEmail;

impl Email {
    /// How many Unicode scalar values an address may have, as it was typed. The
    /// mail's own limit (RFC 5321) is as many bytes, but no mail is sent from here.
    pub const MAX_CHARS: usize = 254;

    /// Takes one `@` with something on both sides, no blanks, nothing that breaks or turns
    /// a line (contract K4).
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let typed = text.trim();
        let email = typed.to_lowercase();
        let (local, domain) = email.split_once('@').ok_or(InvalidEmail)?;
        let odd =
            |c: char| c.is_whitespace() || is_unfit_in_a_name(c) || "<>()[],;:\\\"".contains(c);
        if typed.chars().count() > Self::MAX_CHARS
            || local.is_empty()
            || domain.is_empty()
            || domain.contains('@')
            || email.chars().any(odd)
        {
            return Err(InvalidEmail);
        }
        Ok(Self(email))
    }

    /// The address as it was stored.
    pub fn from_stored(email: String) -> Self {
        Self(email)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_something_on_both_sides() {
        for good in ["a@b", "admin@localhost", "  Ada@Example.org "] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a\u{0}@b", "<a@b>",
        ] {
            let trimmed_away = bad == "a@b\n";
            assert_eq!(Email::parse(bad).is_ok(), trimmed_away, "{bad:?}");
        }
        for (letter, most) in [("a", 252), ("\u{fc}", 252), ("\u{130}", 252)] {
            let address = |count| format!(" {}@b ", letter.repeat(count));
            assert!(Email::parse(&address(most)).is_ok(), "{letter}");
            assert!(Email::parse(&address(most + 1)).is_err(), "{letter}");
        }
    }
}
