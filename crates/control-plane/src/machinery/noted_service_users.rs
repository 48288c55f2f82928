//! A store of service users whose changes the cache of keys learns of before they are
//! answered.

use std::sync::Arc;

use async_trait::async_trait;
use remotegpu_accounts::{
    ChangeMember, HashedServiceUserToken, InsertLimited, KeysOfMaker, NewServiceUser,
    NewServiceUserToken, ServiceUser, ServiceUserChange, ServiceUserContext, ServiceUserRepository,
    ServiceUserToken,
};
use remotegpu_keys::KeyChange;
use remotegpu_primitives::{
    AccountId, Act, Page, PageRequest, ServiceUserTokenId, StoreError, UserId,
};
use time::OffsetDateTime;

use crate::KeyCache;

/// A store of service users beside a cache of keys. What a maker's keys open follows its
/// role (contract K15), with the next request here (contract K13); the store tells other
/// instances itself.
pub struct NotedServiceUsers {
    store: Arc<dyn ServiceUserRepository>,
    cache: Arc<KeyCache>,
}

impl NotedServiceUsers {
    /// Has `cache` forget what changes in `store`.
    pub fn new(store: Arc<dyn ServiceUserRepository>, cache: Arc<KeyCache>) -> Self {
        Self { store, cache }
    }
}

#[async_trait]
impl ServiceUserRepository for NotedServiceUsers {
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ServiceUser>, StoreError> {
        self.store.list(account, page).await
    }

    async fn find(
        &self,
        account: AccountId,
        id: UserId,
    ) -> Result<Option<ServiceUser>, StoreError> {
        self.store.find(account, id).await
    }

    async fn insert(
        &self,
        new: &NewServiceUser,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUser>, StoreError> {
        self.store.insert(new, limit, act).await
    }

    async fn update(
        &self,
        account: AccountId,
        id: UserId,
        change: &ServiceUserChange,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<ServiceUser>, StoreError> {
        // Keys that change hands were remembered with their maker until now.
        let _noted = self.cache.note_later(KeyChange::Maker(id));
        self.store.update(account, id, change, keys, act).await
    }

    async fn delete(
        &self,
        account: AccountId,
        id: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Maker(id));
        self.store.delete(account, id, keys, act).await
    }

    async fn list_tokens(
        &self,
        account: AccountId,
        id: UserId,
        page: PageRequest,
    ) -> Result<Page<ServiceUserToken>, StoreError> {
        self.store.list_tokens(account, id, page).await
    }

    async fn find_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
    ) -> Result<Option<ServiceUserToken>, StoreError> {
        self.store.find_token(account, id, token).await
    }

    async fn insert_token(
        &self,
        account: AccountId,
        id: UserId,
        new: &NewServiceUserToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUserToken>, StoreError> {
        self.store.insert_token(account, id, new, limit, act).await
    }

    async fn delete_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.store.delete_token(account, id, token, act).await
    }

    async fn find_by_hash(
        &self,
        hash: &HashedServiceUserToken,
    ) -> Result<Option<ServiceUserContext>, StoreError> {
        self.store.find_by_hash(hash).await
    }

    async fn touch(&self, id: ServiceUserTokenId, now: OffsetDateTime) -> Result<(), StoreError> {
        self.store.touch(id, now).await
    }
}
