//! Sessions: how a person stays signed in (contract A6).

use std::net::IpAddr;

use remotegpu_primitives::{AccountId, SessionId, UserId, Word};
use time::{Duration, OffsetDateTime};

use crate::{Account, HashedPassword, Role, User, opaque_secret::opaque_secret};

opaque_secret!(PlainSession, HashedSession, MalformedSession: "rgse_", "a session");

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Without a request.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            idle: Duration::hours(12),
            total: Duration::days(7),
        }
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session's identifier; no secret.
    pub id: SessionId,
    /// Who is signed in.
    pub user_id: UserId,
    /// The account they act for.
    pub account_id: AccountId,
    /// When they signed in.
    pub created_at: OffsetDateTime,
    /// When the session was last used; up to a minute behind.
    pub last_seen_at: OffsetDateTime,
}

impl Session {
    /// When the session ends if it is not used any more.
    pub fn expires_at(&self, policy: SessionPolicy) -> OffsetDateTime {
        (self.last_seen_at + policy.idle).min(self.created_at + policy.total)
    }

    /// Whether the session still counts at `now`.
    pub fn is_live(&self, policy: SessionPolicy, now: OffsetDateTime) -> bool {
        now < self.expires_at(policy)
    }

    /// Whether its use is worth a write: at most one a minute.
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        now - self.last_seen_at >= Duration::MINUTE
    }
}

/// A session as its user sees it among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// From where it was opened.
    pub ip: Option<IpAddr>,
    /// What the program called itself that it was opened with.
    pub user_agent: Option<String>,
}

impl OpenedSession {
    /// How many of one user are shown.
    pub const MOST: u16 = 200;
}

/// A session that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// What is stored of its secret.
    pub hash: HashedSession,
    /// The password hash that was verified: the session is stored only while it
    /// is still the user's.
    pub verified: HashedPassword,
    /// The rest.
    pub session: Session,
}

/// A session with all that decides what it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionContext {
    /// The session.
    pub session: Session,
    /// Who is signed in.
    pub user: User,
    /// The account they act for.
    pub account: Account,
    /// What they may do there, today.
    pub role: Word<Role>,
}

impl SessionContext {
    /// Whether the user may do here what `needed` may. A role that a newer version
    /// gave allows nothing (contract R6).
    pub fn allows(&self, needed: Role) -> bool {
        self.role.known().is_some_and(|role| role.allows(needed))
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_session_ends_when_idle_and_in_all() {
        // A6
        let created = datetime!(2026-01-01 00:00 UTC);
        let mut session = Session {
            id: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
            user_id: "0198c0de-0000-7000-8000-000000000002".parse().unwrap(),
            account_id: "0198c0de-0000-7000-8000-000000000003".parse().unwrap(),
            created_at: created,
            last_seen_at: created,
        };
        let policy = SessionPolicy::default();
        assert!(session.is_live(policy, created + Duration::hours(12) - Duration::SECOND));
        assert!(!session.is_live(policy, created + Duration::hours(12)));
        session.last_seen_at = created + Duration::days(7) - Duration::HOUR;
        assert!(session.is_live(policy, created + Duration::days(7) - Duration::SECOND));
        assert!(!session.is_live(policy, created + Duration::days(7)));
    }

    #[test]
    fn a_secret_reads_back_and_prints_only_its_type() {
        // A6, K2
        let secret = PlainSession::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(PlainSession::parse(secret.reveal()), Ok(secret.clone()));
        assert_eq!(
            format!("{secret:?} {:?}", secret.hash()),
            "PlainSession HashedSession"
        );
        for bad in ["", "rgse_", "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V"] {
            assert!(PlainSession::parse(bad).is_err());
        }
    }
}
