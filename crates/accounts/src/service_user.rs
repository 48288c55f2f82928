//! Machines that manage: a role in one account without a person, and the tokens that they
//! come with (contract T8).

use async_trait::async_trait;
use remotegpu_keys::{HashedSecret, KeyName, PlainSecret, SecretKind, SecretPrefix};
use remotegpu_primitives::{
    AccountId, Act, Page, PageRequest, ServiceUserTokenId, StoreError, UserId, Word,
};
use time::{Duration, OffsetDateTime};

use crate::{Account, ChangeMember, KeysOfMaker, Role};

/// A machine that manages, as it is stored. Its identifier is of the same kind as those of
/// people, so that none of them is ever both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// What it makes bears this.
    pub id: UserId,
    /// What it is called.
    pub name: KeyName,
    /// What it may do in its account.
    pub role: Word<Role>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Who made it; it outlives them.
    pub created_by: UserId,
}

/// A service user that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewServiceUser {
    /// Its identifier.
    pub id: UserId,
    /// Whose it is.
    pub account_id: AccountId,
    /// What it is called.
    pub name: KeyName,
    /// What it may do.
    pub role: Role,
    /// When it is made.
    pub created_at: OffsetDateTime,
    /// Who makes it.
    pub created_by: UserId,
}

/// What shall be another; what is absent stays.
#[derive(Debug, Clone)]
pub struct ServiceUserChange {
    /// What it is called.
    pub name: Option<KeyName>,
    /// What it may do.
    pub role: Option<Role>,
}

/// The kind of secrets that service users come with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceUserSecret {}

impl SecretKind for ServiceUserSecret {
    const PREFIX: &'static str = "rgsu_";
    const NAME: &'static str = "ServiceUserToken";
}

/// The secret that a service user comes with.
pub type PlainServiceUserToken = PlainSecret<ServiceUserSecret>;

/// What is stored of it.
pub type HashedServiceUserToken = HashedSecret<ServiceUserSecret>;

/// A service user's token as it is stored. It always ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUserToken {
    /// The token's identifier; no secret.
    pub id: ServiceUserTokenId,
    /// What it is called.
    pub name: KeyName,
    /// What may be shown of it.
    pub prefix: SecretPrefix,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Who made it.
    pub created_by: UserId,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When it was last used; up to a minute behind.
    pub last_used_at: Option<OffsetDateTime>,
}

impl ServiceUserToken {
    /// Whether its use is worth a write: at most one a minute.
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.last_used_at
            .is_none_or(|used| now - used >= Duration::MINUTE)
    }
}

/// A token that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewServiceUserToken {
    /// What is stored of its secret.
    pub hash: HashedServiceUserToken,
    /// The rest.
    pub token: ServiceUserToken,
}

/// A service user that has shown a token, with all that decides what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUserContext {
    /// Who it is, and its role, today.
    pub service_user: ServiceUser,
    /// The account it acts for.
    pub account: Account,
    /// What it has shown.
    pub token: ServiceUserToken,
}

/// What came of making something that there may be so many of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertLimited<T> {
    /// It is stored, as it is here.
    Inserted(T),
    /// There are as many as there may be.
    LimitReached,
    /// There is no such service user.
    NotFound,
    /// Whoever asks is no admin of the account any more.
    NotAllowed,
}

/// A store of service users and their tokens. What a change takes from one ends in the same
/// transaction, with what it has opened in the clusters.
#[async_trait]
pub trait ServiceUserRepository: Send + Sync {
    /// The account's service users, newest first.
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ServiceUser>, StoreError>;

    /// The account's service user with this identifier.
    async fn find(&self, account: AccountId, id: UserId)
    -> Result<Option<ServiceUser>, StoreError>;

    /// Stores a service user where the account has less than `limit` of them.
    async fn insert(
        &self,
        new: &NewServiceUser,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUser>, StoreError>;

    /// Changes a service user. With a role that makes no keys those that it made are
    /// revoked, or taken over (contract K15).
    async fn update(
        &self,
        account: AccountId,
        id: UserId,
        change: &ServiceUserChange,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<ServiceUser>, StoreError>;

    /// Ends a service user, its tokens, and the keys that it made.
    async fn delete(
        &self,
        account: AccountId,
        id: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError>;

    /// A service user's tokens, newest first; those that have expired as well.
    async fn list_tokens(
        &self,
        account: AccountId,
        id: UserId,
        page: PageRequest,
    ) -> Result<Page<ServiceUserToken>, StoreError>;

    /// One of its tokens.
    async fn find_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
    ) -> Result<Option<ServiceUserToken>, StoreError>;

    /// Stores a token where the service user has less than `limit` of them. Where it has as
    /// many, those that expired first make room.
    async fn insert_token(
        &self,
        account: AccountId,
        id: UserId,
        new: &NewServiceUserToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUserToken>, StoreError>;

    /// Ends a token; `false` where the service user has no such token.
    async fn delete_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// The service user that comes with this secret. One whose account is suspended is not
    /// found.
    async fn find_by_hash(
        &self,
        hash: &HashedServiceUserToken,
    ) -> Result<Option<ServiceUserContext>, StoreError>;

    /// Notes that a token was used; never sets the time back.
    async fn touch(&self, id: ServiceUserTokenId, now: OffsetDateTime) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use remotegpu_keys::PlainApiKey;

    use super::*;

    #[test]
    fn a_token_is_no_key_and_tells_nothing() {
        // K2, K3, T8
        let token = PlainServiceUserToken::generate(&mut StdRng::seed_from_u64(1));
        assert!(token.reveal().starts_with("rgsu_"));
        assert_eq!(token.reveal().len(), 41);
        assert!(PlainApiKey::parse(token.reveal()).is_err());
        assert_eq!(
            format!("{token:?} {:?}", token.hash()),
            "PlainServiceUserToken HashedServiceUserToken"
        );
    }
}
