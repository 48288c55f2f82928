//! Tokens that stand in kubeconfigs, for tools that can run no plugin (contract T9).

use async_trait::async_trait;
use remotegpu_primitives::{
    AccountId, Act, KeySecretId, KubeconfigTokenId, NamespaceId, Page, PageRequest, SessionId,
    StoreError, UserId,
};
use time::OffsetDateTime;

use crate::ClusterAccess;

/// A token in somebody's kubeconfig, for one namespace. It lives for an hour at the most, and
/// ends before with what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigToken {
    /// Identifies it.
    pub id: KubeconfigTokenId,
    /// The account.
    pub account_id: AccountId,
    /// The namespace that it opens.
    pub namespace_id: NamespaceId,
    /// What it may do there, whatever its maker's role becomes.
    pub access: ClusterAccess,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

/// A token that is about to be stored, before the cluster is asked for it.
#[derive(Debug, Clone)]
pub struct NewKubeconfigToken {
    /// Identifies it.
    pub id: KubeconfigTokenId,
    /// Identifies the secret that its cluster identity stands on.
    pub secret_id: KeySecretId,
    /// What is stored as that secret's hash: random bits, so that there is no such secret.
    pub nobodys_hash: [u8; 32],
    /// The account.
    pub account_id: AccountId,
    /// The namespace that it shall open.
    pub namespace_id: NamespaceId,
    /// Who makes it.
    pub created_by: UserId,
    /// In which session, where it is a person: one that has ended makes nothing.
    pub session_id: Option<SessionId>,
    /// When.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

/// Whose tokens are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensOf {
    /// Those that one person or machine made.
    Maker(UserId),
    /// All of the account.
    All,
}

/// What an event of the audit log tells of the cluster's part in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The name of the cluster's service account.
    pub identity: String,
    /// The token's `jti`.
    pub token_id: Option<String>,
}

/// What came of [`KubeconfigTokenRepository::insert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertKubeconfigToken {
    /// It is stored.
    Inserted,
    /// Account, maker, session or namespace do not allow it (any more).
    Refused,
    /// The maker has as many as they may have.
    LimitReached,
}

/// A store of tokens in kubeconfigs. Those that have ended, and other accounts', do not exist
/// to it. Their cluster identities end with them, and they with these.
#[async_trait]
pub trait KubeconfigTokenRepository: Send + Sync {
    /// Stores a token that the cluster is to be asked for, unless its maker has `limit` in the
    /// account already.
    async fn insert(
        &self,
        token: &NewKubeconfigToken,
        limit: u32,
    ) -> Result<InsertKubeconfigToken, StoreError>;

    /// The act that makes it is done, and its token may leave the house; `None` where it has
    /// ended meanwhile.
    async fn mark_issued(
        &self,
        account: AccountId,
        id: KubeconfigTokenId,
        issued: &IssuedToken,
        act: &Act,
    ) -> Result<Option<KubeconfigToken>, StoreError>;

    /// Ends what was never handed out.
    async fn abandon(
        &self,
        account: AccountId,
        id: KubeconfigTokenId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// The living token with this identifier.
    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        id: KubeconfigTokenId,
        now: OffsetDateTime,
    ) -> Result<Option<KubeconfigToken>, StoreError>;

    /// The living tokens, newest first.
    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
        now: OffsetDateTime,
    ) -> Result<Page<KubeconfigToken>, StoreError>;

    /// Ends a living token, with its cluster identity; `false` where there is none.
    async fn end(
        &self,
        account: AccountId,
        of: TokensOf,
        id: KubeconfigTokenId,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Removes up to `limit` rows of tokens that ended before `before` and of whose cluster
    /// identity nothing is left. Answers how many went.
    async fn remove_ended(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError>;
}
