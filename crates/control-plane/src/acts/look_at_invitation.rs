//! Somebody opens the link of an invitation (contract T10). It changes nothing: programs
//! that show what is behind a link open it as well.

use remotegpu_accounts::{
    Account, Invitation, InvitationRepository, PlainInvitation, UserRepository,
};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

/// An open invitation, as whoever has its link sees it.
#[derive(Debug, Clone)]
pub struct ShownInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The account it leads into.
    pub account: Account,
    /// How the address that it is for proves itself.
    pub guest: InvitedGuest,
}

/// How somebody who is invited shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitedGuest {
    /// They sign in.
    SignsIn,
    /// They have a password and no account to sign in for.
    HasPassword,
    /// They choose a password, and are made a user.
    IsNew,
}

/// The open invitation with this secret.
pub async fn look_at_invitation(
    invitations: &dyn InvitationRepository,
    users: &dyn UserRepository,
    secret: &str,
    now: OffsetDateTime,
) -> Result<Option<ShownInvitation>, StoreError> {
    let Ok(secret) = PlainInvitation::parse(secret) else {
        return Ok(None);
    };
    let Some((invitation, account)) = invitations.find_by_hash(&secret.hash(), now).await? else {
        return Ok(None);
    };
    let guest = match users.find_by_email(&invitation.email).await? {
        None => InvitedGuest::IsNew,
        Some(user) => {
            let memberships = users.memberships(user.id).await?;
            let may_sign_in = memberships
                .iter()
                .any(|membership| membership.account.suspended_at.is_none());
            if may_sign_in {
                InvitedGuest::SignsIn
            } else {
                InvitedGuest::HasPassword
            }
        }
    };
    Ok(Some(ShownInvitation {
        invitation,
        account,
        guest,
    }))
}
