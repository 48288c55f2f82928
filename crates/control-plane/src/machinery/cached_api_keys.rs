//! A store of keys that is asked only when the cache does not know.

use std::sync::Arc;

use async_trait::async_trait;
use remotegpu_keys::{
    ApiKey, ApiKeyChange, ApiKeyRepository, HashedApiKey, InsertApiKey, KeyChange, NewApiKey,
    NewKeySecret, PresentedKey, RevokeApiKey, RotateApiKey, UpdateApiKey,
};
use remotegpu_primitives::{AccountId, Act, ApiKeyId, KeySecretId, Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::KeyCache;

/// A store of keys behind a cache. What a key opens is asked of the cache first;
/// what is changed through this takes effect here before the change is answered
/// (contract K13). [`ApiKeyRepository::find_by_secret`] is always asked of the
/// store: what refuses a mint is not told from a cache (contract X10).
pub struct CachedApiKeys {
    store: Arc<dyn ApiKeyRepository>,
    cache: Arc<KeyCache>,
}

impl CachedApiKeys {
    /// Puts `cache` before `store`. Somebody must feed the cache with changes
    /// ([`crate::follow_key_changes`]); until then it is not used.
    pub fn new(store: Arc<dyn ApiKeyRepository>, cache: Arc<KeyCache>) -> Self {
        Self { store, cache }
    }
}

#[async_trait]
impl ApiKeyRepository for CachedApiKeys {
    async fn find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.store.find(account, id).await
    }

    async fn find_by_hash(&self, hash: &HashedApiKey) -> Result<Option<PresentedKey>, StoreError> {
        if let Some(known) = self.cache.recall(hash) {
            return Ok(Some(known.presented()));
        }
        let begun = self.cache.begin();
        let found = self.store.find_by_hash(hash).await?;
        // An unknown key is not remembered: anybody can invent them.
        if let Some(found) = &found {
            self.cache.insert(hash, begun, found);
        }
        Ok(found)
    }

    async fn find_by_secret(
        &self,
        secret: KeySecretId,
    ) -> Result<Option<PresentedKey>, StoreError> {
        self.store.find_by_secret(secret).await
    }

    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        self.store.list(account, page).await
    }

    async fn search(
        &self,
        account: AccountId,
        text: &str,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        self.store.search(account, text, page).await
    }

    async fn insert(
        &self,
        key: &NewApiKey,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertApiKey, StoreError> {
        self.store.insert(key, default_limit, act).await
    }

    async fn update(
        &self,
        account: AccountId,
        id: ApiKeyId,
        change: &ApiKeyChange,
        act: &Act,
    ) -> Result<UpdateApiKey, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Key(id));
        self.store.update(account, id, change, act).await
    }

    async fn revoke(
        &self,
        account: AccountId,
        id: ApiKeyId,
        act: &Act,
    ) -> Result<RevokeApiKey, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Key(id));
        self.store.revoke(account, id, act).await
    }

    async fn rotate(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: &NewKeySecret,
        old_ends_at: OffsetDateTime,
        act: &Act,
    ) -> Result<RotateApiKey, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Key(id));
        self.store
            .rotate(account, id, secret, old_ends_at, act)
            .await
    }

    async fn record_use(&self, uses: &[(ApiKeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.store.record_use(uses).await
    }

    // What goes here has not opened anything for a minute and more: the store's own
    // word of the change is soon enough.

    async fn remove_dead(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        self.store.remove_dead(before, limit).await
    }

    async fn remove_surplus(
        &self,
        most: u32,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        self.store.remove_surplus(most, since, now).await
    }

    async fn remove_ended_secrets(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.store.remove_ended_secrets(before, limit).await
    }
}
