//! What a store of people and accounts does. Each method is atomic, together with
//! the audit event of the act that it is (contract R5).

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, Page, PageRequest, SessionId, StoreError, UserId};
use time::OffsetDateTime;

use crate::{
    Account, Attempt, AttemptOutcome, Email, HashedPassword, HashedSession, LimitChanges,
    Membership, NewSession, NewUser, OpenedSession, PasswordChange, Role, SessionContext, User,
};

/// A store of users.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// The user with this e-mail.
    async fn find_by_email(&self, email: &Email) -> Result<Option<User>, StoreError>;

    /// The accounts the user is a member of, oldest membership first.
    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, StoreError>;

    /// Whether the installation's first user was ever made.
    async fn has_first(&self) -> Result<bool, StoreError>;

    /// Makes the installation's first user and account, with the role `admin`.
    /// Of all callers on all instances, ever, one gets `true` (contract A10).
    async fn insert_first(
        &self,
        user: &NewUser,
        account: &Account,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Makes a user and an account of their own, with the role `admin`; not of an address
    /// that an open invitation waits for (contract T10).
    async fn insert_with_account(
        &self,
        user: &NewUser,
        account: &Account,
        act: &Act,
    ) -> Result<CreateUser, StoreError>;

    /// Makes a user who is a member of an account that exists.
    async fn insert_member(
        &self,
        user: &NewUser,
        account: AccountId,
        role: Role,
        act: &Act,
    ) -> Result<CreateUser, StoreError>;

    /// Sets a password and ends the user's sessions, but for `keep`. Whoever had
    /// to know the current password names in `verified` the hash they compared
    /// with. `false` when the user's password is another by now, or there is no
    /// such user: then nothing changed, and no session ended. A password that must be changed
    /// is somebody else's doing, and takes the user's access tokens with it (contract T5). All
    /// of the user's accounts have the event.
    async fn set_password(
        &self,
        user: UserId,
        verified: Option<&HashedPassword>,
        password: &HashedPassword,
        change: PasswordChange,
        keep: Option<SessionId>,
        act: &Act,
    ) -> Result<bool, StoreError>;
}

/// What came of making a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateUser {
    /// The user exists.
    Created,
    /// The e-mail is another user's, or somebody's who is invited.
    EmailTaken,
    /// The account does not exist.
    AccountNotFound,
}

/// A store of accounts, as the installation's operator sees it (contract A13).
#[async_trait]
pub trait AccountRepository: Send + Sync {
    /// The account with this identifier.
    async fn find(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// All accounts, newest first.
    async fn list(&self, page: PageRequest) -> Result<Page<Account>, StoreError>;

    /// Stores an account that has no members yet.
    async fn insert(&self, account: &Account, act: &Act) -> Result<(), StoreError>;

    /// Suspends an account at the time of the act: its sessions and cluster identities end in the same
    /// transaction. `None` when there is no such account; suspending twice
    /// changes nothing.
    async fn suspend(&self, id: AccountId, act: &Act) -> Result<Option<Account>, StoreError>;

    /// Lifts a suspension; what it ended stays ended.
    async fn resume(&self, id: AccountId, act: &Act) -> Result<Option<Account>, StoreError>;

    /// Changes the account's own limits, and of these only what is given.
    async fn set_limits(
        &self,
        id: AccountId,
        changes: LimitChanges,
        act: &Act,
    ) -> Result<Option<Account>, StoreError>;
}

/// What came of storing a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertSession {
    /// The session is stored.
    Inserted,
    /// The account is suspended, or the user is no member of it.
    AccountSuspended,
    /// The user's password is another by now than the one that was verified.
    PasswordChanged,
}

/// A store of sessions.
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Stores a session, unless it may not act for its account or the user's
    /// password is another than the one that was verified.
    async fn insert(&self, session: &NewSession, act: &Act) -> Result<InsertSession, StoreError>;

    /// The session with this secret, and who it stands for today. A session
    /// whose user is no member any more, or whose account is suspended, is not
    /// found.
    async fn find_by_hash(
        &self,
        hash: &HashedSession,
    ) -> Result<Option<SessionContext>, StoreError>;

    /// Notes that the session was used; never sets the time back.
    async fn touch(&self, id: SessionId, now: OffsetDateTime) -> Result<(), StoreError>;

    /// Lets the session act for another account of its user. `false` when the
    /// user is no member of it or it is suspended. Both accounts have the event.
    async fn switch_account(
        &self,
        id: SessionId,
        account: AccountId,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Ends the session.
    async fn delete(&self, id: SessionId, act: &Act) -> Result<(), StoreError>;

    /// The user's sessions, newest first, at most [`OpenedSession::MOST`]; those that the
    /// clock has ended may be among them.
    async fn list_of(&self, user: UserId) -> Result<Vec<OpenedSession>, StoreError>;

    /// Ends one of the user's sessions. `false` where the user has no such session.
    async fn end_of(&self, user: UserId, id: SessionId, act: &Act) -> Result<bool, StoreError>;

    /// Ends all of the user's sessions but `keep`; answers how many.
    async fn end_others_of(
        &self,
        user: UserId,
        keep: SessionId,
        act: &Act,
    ) -> Result<u64, StoreError>;

    /// Removes sessions that ended by the clock: signed in before `created`, or
    /// last used before `seen`.
    async fn delete_ended(
        &self,
        created: OffsetDateTime,
        seen: OffsetDateTime,
    ) -> Result<u64, StoreError>;
}

/// A store of sign-in and sign-up attempts, shared by all instances (contract A8).
#[async_trait]
pub trait AttemptRepository: Send + Sync {
    /// Counts an attempt as a failure, if there is room for one, and says
    /// whether it may go on. However many come at once, no more than the limit
    /// go on.
    async fn begin(
        &self,
        attempt: &Attempt,
        now: OffsetDateTime,
    ) -> Result<AttemptOutcome, StoreError>;

    /// The attempt succeeded: its pair of e-mail and address starts afresh.
    async fn clear(&self, attempt: &Attempt) -> Result<(), StoreError>;
}
