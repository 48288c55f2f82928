//! The key and its life: active, then expired or revoked, never back.

use remotegpu_primitives::{AccountId, ApiKeyId, KeySecretId, UserId};
use remotegpu_scopes::Scopes;
use time::OffsetDateTime;

use crate::{HashedApiKey, KeyName, SecretPrefix};

/// An API key as its account sees it (contract K1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Stays the same through rotations.
    pub id: ApiKeyId,
    /// The account that owns it.
    pub account_id: AccountId,
    /// What its maker calls it.
    pub name: KeyName,
    /// The shown part of the newest secret.
    pub prefix: SecretPrefix,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Who answers for it (contract K15).
    pub created_by: UserId,
    /// When it ends by itself; never when absent.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
    /// When it last opened something; up to a minute behind (contract K14).
    pub last_used_at: Option<OffsetDateTime>,
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It opens what its scopes say.
    Active,
    /// Its time is over; it opens nothing and cannot be changed.
    Expired,
    /// It was revoked; it opens nothing and cannot be changed.
    Revoked,
}

impl KeyStatus {
    /// The word on the wire (contract K1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// Where the key is in its life at `now`. A revoked key stays revoked after
    /// it would have expired.
    pub fn status(&self, now: OffsetDateTime) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }
}

/// A key that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The key's identifier.
    pub id: ApiKeyId,
    /// The account that will own it.
    pub account_id: AccountId,
    /// Its name.
    pub name: KeyName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it is made.
    pub created_at: OffsetDateTime,
    /// Who makes it.
    pub created_by: UserId,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// Its first secret.
    pub secret: NewKeySecret,
}

/// A secret that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewKeySecret {
    /// The secret's identifier.
    pub id: KeySecretId,
    /// What is stored of it.
    pub hash: HashedApiKey,
    /// What is shown of it.
    pub prefix: SecretPrefix,
}

/// What to change; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiKeyChange {
    /// A new name.
    pub name: Option<KeyName>,
    /// New scopes.
    pub scopes: Option<Scopes>,
    /// A new end; `Some(None)` means never.
    pub expires_at: Option<Option<OffsetDateTime>>,
}

/// One secret of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// The secret's identifier.
    pub id: KeySecretId,
    /// When it ends though the key goes on: the end of a rotation's grace.
    pub ends_at: Option<OffsetDateTime>,
}

/// A key together with the one secret that was presented, and all else that
/// decides whether it opens anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedKey {
    /// The key.
    pub key: ApiKey,
    /// The secret that was presented.
    pub secret: KeySecret,
    /// Whether the account is suspended (contract A13).
    pub account_suspended: bool,
    /// Whether the key's maker is still a member whose role allows it (contract K15).
    pub maker_may: bool,
}

/// A key opens nothing (any more). Why is for the caller's own log: the answer
/// is always the same (contract A4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// The key was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// The key expired.
    #[error("the key is expired")]
    Expired,
    /// The presented secret was rotated away.
    #[error("the secret was rotated")]
    Rotated,
    /// The account is suspended.
    #[error("the account is suspended")]
    AccountSuspended,
    /// The maker's role no longer allows keys.
    #[error("the key's maker may no longer write")]
    MakerDemoted,
}

impl PresentedKey {
    /// Whether the key opens anything at `now`.
    pub fn check(&self, now: OffsetDateTime) -> Result<(), KeyRefused> {
        match self.key.status(now) {
            KeyStatus::Revoked => return Err(KeyRefused::Revoked),
            KeyStatus::Expired => return Err(KeyRefused::Expired),
            KeyStatus::Active => {}
        }
        if self.secret.ends_at.is_some_and(|end| end <= now) {
            return Err(KeyRefused::Rotated);
        }
        if self.account_suspended {
            return Err(KeyRefused::AccountSuspended);
        }
        if !self.maker_may {
            return Err(KeyRefused::MakerDemoted);
        }
        Ok(())
    }

    /// When this secret ends by the clock, whichever end comes first.
    pub fn ends_at(&self) -> Option<OffsetDateTime> {
        match (self.key.expires_at, self.secret.ends_at) {
            (Some(key), Some(secret)) => Some(key.min(secret)),
            (key, secret) => key.or(secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn presented() -> PresentedKey {
        PresentedKey {
            key: ApiKey {
                id: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
                account_id: "0198c0de-0000-7000-8000-000000000002".parse().unwrap(),
                name: KeyName::parse("ci").unwrap(),
                prefix: SecretPrefix::from_stored("rgpu_aaaaaaaa".to_owned()),
                scopes: Scopes::All,
                created_at: NOW,
                created_by: "0198c0de-0000-7000-8000-000000000003".parse().unwrap(),
                expires_at: None,
                revoked_at: None,
                last_used_at: None,
            },
            secret: KeySecret {
                id: "0198c0de-0000-7000-8000-000000000004".parse().unwrap(),
                ends_at: None,
            },
            account_suspended: false,
            maker_may: true,
        }
    }

    fn check(change: impl FnOnce(&mut PresentedKey), expected: Result<(), KeyRefused>) {
        let mut key = presented();
        change(&mut key);
        assert_eq!(key.check(NOW), expected);
    }

    #[test]
    fn a_key_opens_until_any_one_end() {
        // A4, A13, K5, K15
        let (past, future) = (NOW - Duration::SECOND, NOW + Duration::SECOND);
        check(|_| {}, Ok(()));
        check(|k| k.key.expires_at = Some(future), Ok(()));
        check(|k| k.key.expires_at = Some(NOW), Err(KeyRefused::Expired));
        check(|k| k.key.revoked_at = Some(past), Err(KeyRefused::Revoked));
        check(|k| k.secret.ends_at = Some(future), Ok(()));
        check(|k| k.secret.ends_at = Some(NOW), Err(KeyRefused::Rotated));
        check(
            |k| k.account_suspended = true,
            Err(KeyRefused::AccountSuspended),
        );
        check(|k| k.maker_may = false, Err(KeyRefused::MakerDemoted));
    }

    #[test]
    fn revoked_stays_revoked_after_it_would_have_expired() {
        let mut key = presented().key;
        key.revoked_at = Some(NOW - Duration::DAY);
        key.expires_at = Some(NOW - Duration::HOUR);
        assert_eq!(key.status(NOW), KeyStatus::Revoked);
    }

    #[test]
    fn the_first_of_two_ends_counts() {
        // X9
        let mut key = presented();
        assert_eq!(key.ends_at(), None);
        key.key.expires_at = Some(NOW + Duration::DAY);
        assert_eq!(key.ends_at(), Some(NOW + Duration::DAY));
        key.secret.ends_at = Some(NOW + Duration::HOUR);
        assert_eq!(key.ends_at(), Some(NOW + Duration::HOUR));
    }
}
