//! The keys of all accounts, as the installation's operator sees them.

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, ApiKeyId, StoreError};
use time::OffsetDateTime;

/// A key, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedKey {
    /// The key.
    pub id: ApiKeyId,
    /// The account that owns it.
    pub account_id: AccountId,
}

/// A store of the keys of all accounts, for what is done to many of them at once:
/// after a restore, or a leak (contract R7).
#[async_trait]
pub trait InstallationKeys: Send + Sync {
    /// Up to `limit` keys that are active at `now`, of one account or of all, in the
    /// order of their identifiers, those after `after`.
    async fn list_active(
        &self,
        account: Option<AccountId>,
        after: Option<ApiKeyId>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<OwnedKey>, StoreError>;

    /// Which of these there are, and whether each is active at `now`.
    async fn find_owned(
        &self,
        ids: &[ApiKeyId],
        now: OffsetDateTime,
    ) -> Result<Vec<(OwnedKey, bool)>, StoreError>;

    /// Revokes those of the keys that are active, and ends their cluster identities
    /// with them: all of it in one transaction, with the audit event of each key's
    /// own act. The time of the first act is that of all. Answers which were.
    async fn revoke_each(&self, keys: &[(OwnedKey, Act)]) -> Result<Vec<OwnedKey>, StoreError>;
}
