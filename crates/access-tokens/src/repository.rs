//! What a store of access tokens does. Each method is atomic, together with the audit event
//! of the act that it is (contract R5).

use async_trait::async_trait;
use remotegpu_primitives::{AccessTokenId, AccountId, Act, Page, PageRequest, StoreError, UserId};
use time::OffsetDateTime;

use crate::{AccessToken, HashedAccessToken, NewAccessToken, PresentedAccessToken, TokenHandle};

/// Which tokens of an account somebody may see and end: others do not exist to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensOf {
    /// Those of all members.
    All,
    /// Those of this one.
    One(UserId),
}

/// A store of access tokens. Other accounts' tokens do not exist to it (contract C6).
#[async_trait]
pub trait AccessTokenRepository: Send + Sync {
    /// The token that is called so.
    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
    ) -> Result<Option<AccessToken>, StoreError>;

    /// The token that has this secret, whatever its state, and what decides about it today.
    async fn find_by_hash(
        &self,
        hash: &HashedAccessToken,
    ) -> Result<Option<PresentedAccessToken>, StoreError>;

    /// The account's tokens, newest first; expired ones as well.
    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
    ) -> Result<Page<AccessToken>, StoreError>;

    /// Stores a token, unless its holder has `limit` active ones in the account
    /// (contract T10), or may have none. Of their expired ones the oldest go that
    /// are more than [`NewAccessToken::EXPIRED_KEPT`].
    async fn insert(
        &self,
        token: &NewAccessToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertAccessToken, StoreError>;

    /// Deletes the token that is called so: it opens nothing any more, and is not there.
    /// `false` where it was not.
    async fn delete(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Notes when tokens were last used, unless less than a minute has passed since the time
    /// that is stored; so no time is ever set back (contract K14).
    async fn record_use(&self, uses: &[(AccessTokenId, OffsetDateTime)]) -> Result<(), StoreError>;

    /// Removes up to `limit` tokens that expired before `before`; audit events stay
    /// (contract K16). Answers how many went.
    async fn remove_expired(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError>;
}

impl NewAccessToken {
    /// How many expired tokens of a member stay in an account's list.
    pub const EXPIRED_KEPT: u32 = 100;
}

/// What came of [`AccessTokenRepository::insert`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time")]
pub enum InsertAccessToken {
    /// It is stored.
    Inserted(AccessToken),
    /// Its holder has as many active ones as they may have.
    LimitReached,
    /// Its holder is no member of the account, or has a password that must be changed first.
    NotAllowed,
}
