//! The operator ends a membership (contract A13, T7).

use rand::CryptoRng;
use remotegpu_accounts::{
    ChangeMember, Email, KeysOfMaker, MadeBefore, MemberRepository, UserRepository,
};
use remotegpu_primitives::AccountId;
use time::OffsetDateTime;

use crate::{AppointMemberError, Operator, acts::appoint_member::user};

/// Ends a user's membership, with what they made in the account.
pub async fn dismiss_member(
    (users, members): (&dyn UserRepository, &dyn MemberRepository),
    operator: Operator,
    email: &Email,
    account: AccountId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<MadeBefore, AppointMemberError> {
    let user = user(users, email).await?;
    let act = operator.act(rng, now);
    match members
        .remove(account, user.id, KeysOfMaker::Revoke, &act)
        .await?
    {
        ChangeMember::Changed((), before) => Ok(before),
        ChangeMember::LastAdmin => Err(AppointMemberError::LastAdmin(user.email)),
        ChangeMember::NotFound | ChangeMember::NotAllowed => {
            Err(AppointMemberError::NotFound(user.email))
        }
    }
}
