//! A store of access tokens that is asked only when the cache does not know.

use std::sync::Arc;

use async_trait::async_trait;
use remotegpu_access_tokens::{
    AccessToken, AccessTokenRepository, HashedAccessToken, InsertAccessToken, NewAccessToken,
    PresentedAccessToken, TokenHandle, TokensOf,
};
use remotegpu_keys::KeyChange;
use remotegpu_primitives::{AccessTokenId, AccountId, Act, Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::KeyCache;

/// A store of access tokens behind the cache. What is changed through this takes effect here
/// before the change is answered (contract K13).
pub struct CachedAccessTokens {
    store: Arc<dyn AccessTokenRepository>,
    cache: Arc<KeyCache>,
}

impl CachedAccessTokens {
    /// Puts `cache` before `store`. Somebody must feed the cache with changes
    /// ([`crate::follow_key_changes`]); until then it is not used.
    pub fn new(store: Arc<dyn AccessTokenRepository>, cache: Arc<KeyCache>) -> Self {
        Self { store, cache }
    }
}

#[async_trait]
impl AccessTokenRepository for CachedAccessTokens {
    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
    ) -> Result<Option<AccessToken>, StoreError> {
        self.store.find(account, of, handle).await
    }

    async fn find_by_hash(
        &self,
        hash: &HashedAccessToken,
    ) -> Result<Option<PresentedAccessToken>, StoreError> {
        if let Some(known) = self.cache.recall_token(hash) {
            return Ok(Some(known.presented.clone()));
        }
        let begun = self.cache.begin_token();
        let found = self.store.find_by_hash(hash).await?;
        // An unknown one is not remembered: anybody can invent them.
        if let Some(found) = &found {
            self.cache.insert_token(hash, begun, found);
        }
        Ok(found)
    }

    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
    ) -> Result<Page<AccessToken>, StoreError> {
        self.store.list(account, of, page).await
    }

    async fn insert(
        &self,
        token: &NewAccessToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertAccessToken, StoreError> {
        self.store.insert(token, limit, act).await
    }

    async fn delete(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
        act: &Act,
    ) -> Result<bool, StoreError> {
        // By what it is remembered the caller does not know; the rest of the account is asked
        // for once more.
        let _noted = self.cache.note_later(KeyChange::Account(account));
        self.store.delete(account, of, handle, act).await
    }

    async fn record_use(&self, uses: &[(AccessTokenId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.store.record_use(uses).await
    }

    async fn remove_expired(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        self.store.remove_expired(before, limit).await
    }
}
