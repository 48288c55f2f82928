//! What a store of API keys does. Each method is atomic: it happened whole, or
//! not at all, and so did the audit event of the act that it is (contract R5).

use async_trait::async_trait;
use remotegpu_primitives::{
    AccountId, Act, ApiKeyId, KeySecretId, NamespaceId, Page, PageRequest, StoreError,
};
use time::OffsetDateTime;

use crate::{ApiKey, ApiKeyChange, HashedApiKey, NewApiKey, NewKeySecret, PresentedKey};

/// A store of API keys. Other accounts' keys do not exist to it (contract C6).
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// The key of this account with this identifier.
    async fn find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// The key that has a secret with this hash, whatever its state: what was
    /// rotated away long ago is found as well as what is active.
    async fn find_by_hash(&self, hash: &HashedApiKey) -> Result<Option<PresentedKey>, StoreError>;

    /// The key that has this secret, as it is now (contract X10).
    async fn find_by_secret(&self, secret: KeySecretId)
    -> Result<Option<PresentedKey>, StoreError>;

    /// The account's keys, newest first.
    async fn list(&self, account: AccountId, page: PageRequest)
    -> Result<Page<ApiKey>, StoreError>;

    /// The account's keys whose name or shown prefix has this text in it, in whatever
    /// case, newest first.
    async fn search(
        &self,
        account: AccountId,
        text: &str,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError>;

    /// Stores a key, unless the account has as many active keys as it may have:
    /// its own limit, or else `default_limit` (contract K8, K12).
    async fn insert(
        &self,
        key: &NewApiKey,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertApiKey, StoreError>;

    /// Changes an active key. Where scopes or expiry shrink, the cluster
    /// identities that lose their reason end in the same transaction (contract X9).
    async fn update(
        &self,
        account: AccountId,
        id: ApiKeyId,
        change: &ApiKeyChange,
        act: &Act,
    ) -> Result<UpdateApiKey, StoreError>;

    /// Revokes an active key, and ends its cluster identities with it.
    async fn revoke(
        &self,
        account: AccountId,
        id: ApiKeyId,
        act: &Act,
    ) -> Result<RevokeApiKey, StoreError>;

    /// Gives an active key a new secret. The secret that was the newest ends at
    /// `old_ends_at`, every older one that still lives ends now (contract
    /// section 3), and their cluster identities with them.
    async fn rotate(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: &NewKeySecret,
        old_ends_at: OffsetDateTime,
        act: &Act,
    ) -> Result<RotateApiKey, StoreError>;

    /// Notes when keys were last used, unless less than a minute has passed since
    /// the time that is stored; so no time is ever set back (contract K14).
    async fn record_use(&self, uses: &[(ApiKeyId, OffsetDateTime)]) -> Result<(), StoreError>;

    /// Removes up to `limit` keys that were revoked or expired before `before`, with
    /// their secrets; audit events stay. Keys that still have a row of a cluster
    /// identity wait for it to go (contract K16). Answers how many went.
    async fn remove_dead(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError>;

    /// Removes what accounts have of revoked and expired keys beyond `most`, the
    /// oldest first, on the same terms (contract K16). Looks at the accounts that have
    /// lost a key since `since`, or, without it, at all. One account that cannot be
    /// worked on is told of, and keeps no other from it.
    async fn remove_surplus(
        &self,
        most: u32,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError>;

    /// Removes up to `limit` secrets whose grace was over before `before`, and of which
    /// no cluster identity is left (contract K16). Answers how many went.
    async fn remove_ended_secrets(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError>;
}

/// What came of [`ApiKeyRepository::insert`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertApiKey {
    /// It is stored.
    Inserted(ApiKey),
    /// The account has as many active keys as it may have.
    LimitReached,
    /// Scopes name namespaces that are not the account's living ones.
    ForeignNamespaces(Vec<NamespaceId>),
    /// Whoever makes it may make none any more (contract K15).
    MakerMayNot,
}

/// What came of [`ApiKeyRepository::update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateApiKey {
    /// It is changed.
    Updated(ApiKey),
    /// The account has no such key.
    NotFound,
    /// The key is revoked or expired (contract K6).
    NotActive,
    /// Scopes name namespaces that are not the account's living ones.
    ForeignNamespaces(Vec<NamespaceId>),
}

/// What came of [`ApiKeyRepository::revoke`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeApiKey {
    /// It is revoked.
    Revoked(ApiKey),
    /// The account has no such key.
    NotFound,
    /// The key was revoked or expired before (contract K6).
    NotActive,
}

/// What came of [`ApiKeyRepository::rotate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotateApiKey {
    /// It has the new secret.
    Rotated(ApiKey),
    /// The account has no such key.
    NotFound,
    /// The key is revoked or expired (contract K6).
    NotActive,
}
