//! Invitations into an account (contract T7, T10).

use async_trait::async_trait;
use remotegpu_primitives::{
    AccountId, Act, InvitationId, Page, PageRequest, StoreError, UserId, Word,
};
use time::{Duration, OffsetDateTime};

use crate::{Account, Email, NewUser, Role, opaque_secret::opaque_secret};

opaque_secret!(PlainInvitation, HashedInvitation, MalformedInvitation: "rgin_", "an invitation");

/// Somebody is asked into an account. It is open until it is accepted, deleted or expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The invitation's identifier; no secret.
    pub id: InvitationId,
    /// Into which account.
    pub account_id: AccountId,
    /// Whom it is for: nobody else accepts it.
    pub email: Email,
    /// What they will be allowed there.
    pub role: Word<Role>,
    /// The admin who asks.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

impl Invitation {
    /// How long one lives.
    pub const LIFE: Duration = Duration::days(7);
}

/// An invitation that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The invitation's identifier.
    pub id: InvitationId,
    /// Into which account.
    pub account_id: AccountId,
    /// Whom it is for.
    pub email: Email,
    /// What they will be allowed there.
    pub role: Role,
    /// The admin who asks.
    pub created_by: UserId,
    /// When it is made.
    pub created_at: OffsetDateTime,
    /// What is stored of its secret.
    pub hash: HashedInvitation,
}

/// What came of asking somebody into an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertInvitation {
    /// It is stored.
    Inserted(Invitation),
    /// The address is a member's, or an open invitation is for it.
    AlreadyInvited,
    /// The account has as many open invitations as it may have.
    LimitReached,
    /// Whoever asks is no admin of the account any more.
    NotAllowed,
}

/// What came of deleting an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteInvitation {
    /// It is gone.
    Deleted,
    /// The account has no such open invitation.
    NotFound,
    /// Whoever acts is no admin of the account any more.
    NotAllowed,
}

/// Who accepts an invitation.
#[derive(Debug, Clone, Copy)]
pub enum Guest<'a> {
    /// Somebody who has a user, and has shown who they are.
    User(UserId),
    /// Somebody who gets one by it.
    New(&'a NewUser),
}

/// What came of accepting an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptInvitation {
    /// They are in this account, with this role.
    Accepted(Account, Word<Role>),
    /// There is no such open invitation.
    NotFound,
    /// It is for another address.
    WrongPerson,
    /// The address has a user by now.
    EmailTaken,
}

/// A store of invitations.
#[async_trait]
pub trait InvitationRepository: Send + Sync {
    /// The account's open invitations, newest first.
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
        now: OffsetDateTime,
    ) -> Result<Page<Invitation>, StoreError>;

    /// The open invitation with this identifier.
    async fn find(
        &self,
        account: AccountId,
        id: InvitationId,
        now: OffsetDateTime,
    ) -> Result<Option<Invitation>, StoreError>;

    /// The open invitation with this secret, into an account that is not suspended.
    async fn find_by_hash(
        &self,
        hash: &HashedInvitation,
        now: OffsetDateTime,
    ) -> Result<Option<(Invitation, Account)>, StoreError>;

    /// Stores an invitation, if the account has less than `limit` open ones and none for
    /// this address. Whoever acts has to be an admin of the account.
    async fn insert(
        &self,
        new: &NewInvitation,
        limit: u32,
        act: &Act,
    ) -> Result<InsertInvitation, StoreError>;

    /// Deletes an open invitation. Whoever acts has to be an admin of the account.
    async fn delete(
        &self,
        account: AccountId,
        id: InvitationId,
        act: &Act,
    ) -> Result<DeleteInvitation, StoreError>;

    /// Takes somebody into the account of the open invitation with this secret, and makes
    /// them a user where they have none. Of all who try, one does. Whoever is in the
    /// account already keeps their role.
    async fn accept(
        &self,
        hash: &HashedInvitation,
        guest: Guest<'_>,
        act: &Act,
    ) -> Result<AcceptInvitation, StoreError>;
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_secret_reads_back_and_prints_only_its_type() {
        // T7
        let secret = PlainInvitation::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(PlainInvitation::parse(secret.reveal()), Ok(secret.clone()));
        let told = format!("{secret:?} {:?}", secret.hash());
        assert_eq!(told, "PlainInvitation HashedInvitation");
        for bad in [
            "",
            "rgin_",
            &secret.reveal()[..47],
            &secret.reveal().replace("in_", "se_"),
        ] {
            assert!(PlainInvitation::parse(bad).is_err());
        }
    }
}
