//! The sessions of all accounts, as the installation's operator sees them.

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, SessionId, StoreError};

/// A session, and the account that it acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedSession {
    /// The session.
    pub id: SessionId,
    /// The account.
    pub account_id: AccountId,
}

/// A store of the sessions of all accounts, for what is done to many of them at
/// once: after a restore, or a leak (contract R7).
#[async_trait]
pub trait InstallationSessions: Send + Sync {
    /// Up to `limit` sessions, of one account or of all, in the order of their
    /// identifiers, those after `after`. One that the clock has ended may be among
    /// them until it is removed.
    async fn list(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<OwnedSession>, StoreError>;

    /// Which of these there are.
    async fn find_owned(&self, ids: &[SessionId]) -> Result<Vec<OwnedSession>, StoreError>;

    /// Ends the sessions: all of them in one transaction, with the audit event of
    /// each one's own act. Answers which there were.
    async fn delete_each(
        &self,
        sessions: &[(OwnedSession, Act)],
    ) -> Result<Vec<OwnedSession>, StoreError>;
}
