//! An admin takes an invitation back (contract T7).

use rand::CryptoRng;
use remotegpu_accounts::{DeleteInvitation, InvitationRepository};
use remotegpu_primitives::{InvitationId, StoreError};
use time::OffsetDateTime;

use crate::{Admin, Caller, NotAllowed, Person};

/// The invitation is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DeleteInvitationError {
    /// The account has no such open invitation.
    #[error("there is no such invitation")]
    NotFound,
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes an open invitation: its link opens nothing any more.
pub async fn delete_invitation(
    invitations: &dyn InvitationRepository,
    caller: &Caller<Person<Admin>>,
    id: InvitationId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(), DeleteInvitationError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    match invitations.delete(account, id, &act).await? {
        DeleteInvitation::Deleted => Ok(()),
        DeleteInvitation::NotFound => Err(DeleteInvitationError::NotFound),
        DeleteInvitation::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
    }
}
