//! The operator gives a user a role in an account (contract A13, T7).

use rand::CryptoRng;
use remotegpu_accounts::{
    ChangeMember, Email, KeysOfMaker, MadeBefore, MemberRepository, Role, User, UserRepository,
};
use remotegpu_primitives::{AccountId, StoreError};
use time::OffsetDateTime;

use crate::Operator;

/// Nobody has another role.
#[derive(Debug, thiserror::Error)]
pub enum AppointMemberError {
    /// No user has this e-mail.
    #[error("there is no user {0}")]
    UserNotFound(Email),
    /// The account does not exist, or they are not in it.
    #[error("there is no such account, or {0} is not in it")]
    NotFound(Email),
    /// The account would have no admin.
    #[error("{0} is the account's last admin: make somebody else an admin first")]
    LastAdmin(Email),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who is meant.
pub(crate) async fn user(
    users: &dyn UserRepository,
    email: &Email,
) -> Result<User, AppointMemberError> {
    let found = users.find_by_email(email).await?;
    found.ok_or_else(|| AppointMemberError::UserNotFound(email.clone()))
}

/// Gives a user a role in an account, and takes them into it where they are not in it yet.
/// What they made ends with a role that is too small for it.
pub async fn appoint_member(
    (users, members): (&dyn UserRepository, &dyn MemberRepository),
    operator: Operator,
    email: &Email,
    (account, role): (AccountId, Role),
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<MadeBefore, AppointMemberError> {
    let user = user(users, email).await?;
    let act = operator.act(rng, now);
    let changed = members.set_role(account, user.id, role, KeysOfMaker::Revoke, &act);
    match changed.await? {
        ChangeMember::Changed(_, before) => Ok(before),
        ChangeMember::LastAdmin => Err(AppointMemberError::LastAdmin(user.email)),
        ChangeMember::NotFound | ChangeMember::NotAllowed => {
            if members.join(account, user.id, role, &act).await? {
                Ok(MadeBefore::default())
            } else {
                Err(AppointMemberError::NotFound(user.email))
            }
        }
    }
}
