//! A store of members whose changes the cache of keys learns of before they are answered.

use std::sync::Arc;

use async_trait::async_trait;
use remotegpu_accounts::{ChangeMember, KeysOfMaker, Made, Member, MemberRepository, Role};
use remotegpu_keys::KeyChange;
use remotegpu_primitives::{AccountId, Act, Page, PageRequest, StoreError, UserId};
use time::OffsetDateTime;

use crate::KeyCache;

/// A store of members beside a cache of keys. What a maker's keys open follows their role
/// (contract K15), with the next request here (contract K13); the store tells other
/// instances itself.
pub struct NotedMembers {
    store: Arc<dyn MemberRepository>,
    cache: Arc<KeyCache>,
}

impl NotedMembers {
    /// Has `cache` forget what changes in `store`.
    pub fn new(store: Arc<dyn MemberRepository>, cache: Arc<KeyCache>) -> Self {
        Self { store, cache }
    }
}

#[async_trait]
impl MemberRepository for NotedMembers {
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<Member>, StoreError> {
        self.store.list(account, page).await
    }

    async fn find(&self, account: AccountId, user: UserId) -> Result<Option<Member>, StoreError> {
        self.store.find(account, user).await
    }

    async fn list_made(
        &self,
        account: AccountId,
        maker: UserId,
        now: OffsetDateTime,
    ) -> Result<Vec<Made>, StoreError> {
        self.store.list_made(account, maker, now).await
    }

    async fn join(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Maker(user));
        self.store.join(account, user, role, act).await
    }

    async fn set_role(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<Member>, StoreError> {
        // Keys that change hands were remembered with their maker until now.
        let _noted = self.cache.note_later(KeyChange::Maker(user));
        self.store.set_role(account, user, role, keys, act).await
    }

    async fn remove(
        &self,
        account: AccountId,
        user: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError> {
        let _noted = self.cache.note_later(KeyChange::Maker(user));
        self.store.remove(account, user, keys, act).await
    }
}
