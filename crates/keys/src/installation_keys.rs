//! The keys of all accounts, as the installation's operator sees them.

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, ApiKeyId, StoreError};
use time::OffsetDateTime;

/// What opens namespaces as a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An API key.
    ApiKey,
    /// A token in somebody's kubeconfig (contract T9).
    KubeconfigToken,
}

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
    /// Up to `limit` keys of this kind that are active at `now`, of one account or of all, in the
    /// order of their identifiers, those after `after`.
    async fn list_active(
        &self,
        kind: KeyKind,
        account: Option<AccountId>,
        after: Option<ApiKeyId>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<OwnedKey>, StoreError>;

    /// Which of these there are of this kind, and whether each is active at `now`.
    async fn find_owned(
        &self,
        kind: KeyKind,
        ids: &[ApiKeyId],
        now: OffsetDateTime,
    ) -> Result<Vec<(OwnedKey, bool)>, StoreError>;

    /// Revokes those of the keys that are active and of this kind, and ends their cluster identities
    /// with them: all of it in one transaction, with the audit event of each key's
    /// own act. The time of the first act is that of all. Answers which were.
    async fn revoke_each(
        &self,
        kind: KeyKind,
        keys: &[(OwnedKey, Act)],
    ) -> Result<Vec<OwnedKey>, StoreError>;
}
