//! An admin asks somebody into the account (contract T7, T10).

use rand::CryptoRng;
use remotegpu_accounts::{
    Email, InsertInvitation, Invitation, InvitationRepository, NewInvitation, PlainInvitation, Role,
};
use remotegpu_primitives::{InvitationId, StoreError};
use time::OffsetDateTime;

use crate::{Admin, Caller, NotAllowed, Person};

/// Whom an admin asks.
#[derive(Debug, Clone)]
pub struct CreateInvitation {
    /// Whom it is for.
    pub email: Email,
    /// What they will be allowed.
    pub role: Role,
    /// How many open invitations an account may have.
    pub limit: u32,
}

/// An invitation, and the secret of its link, which is told once.
#[derive(Debug)]
pub struct CreatedInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The secret.
    pub secret: PlainInvitation,
}

/// Nobody was asked.
#[derive(Debug, thiserror::Error)]
pub enum CreateInvitationError {
    /// The address is a member's, or is invited.
    #[error("This address is a member's, or is invited already")]
    AlreadyInvited,
    /// The account has as many open invitations as it may have.
    #[error("The account's limit of open invitations is reached")]
    LimitReached,
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an invitation for an address.
pub async fn create_invitation(
    invitations: &dyn InvitationRepository,
    caller: &Caller<Person<Admin>>,
    wanted: CreateInvitation,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<CreatedInvitation, CreateInvitationError> {
    let secret = PlainInvitation::generate(rng);
    let new = NewInvitation {
        id: InvitationId::generate(now, rng),
        account_id: caller.account().id,
        email: wanted.email,
        role: wanted.role,
        created_by: caller.id(),
        created_at: now,
        hash: secret.hash(),
    };
    let act = caller.act(rng, now);
    match invitations.insert(&new, wanted.limit, &act).await? {
        InsertInvitation::Inserted(invitation) => Ok(CreatedInvitation { invitation, secret }),
        InsertInvitation::AlreadyInvited => Err(CreateInvitationError::AlreadyInvited),
        InsertInvitation::LimitReached => Err(CreateInvitationError::LimitReached),
        InsertInvitation::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
    }
}
