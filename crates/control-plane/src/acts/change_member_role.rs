//! An admin gives somebody another role (contract K15, T7).

use rand::CryptoRng;
use remotegpu_accounts::{ChangeMember, KeysOfMaker, MadeBefore, Member, MemberRepository, Role};
use remotegpu_primitives::{StoreError, UserId};
use time::OffsetDateTime;

use crate::{Admin, Caller, NotAllowed, Person, Signals};

/// Who is to have which role.
#[derive(Debug, Clone, Copy)]
pub struct NewRole {
    /// Who.
    pub user_id: UserId,
    /// What they may do from then on.
    pub role: Role,
    /// Whether the caller takes over the API keys that would end by it.
    pub take_over_keys: bool,
}

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeMemberError {
    /// Nobody of the account has this identifier.
    #[error("there is no such member")]
    NotFound,
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The account would have no admin.
    #[error("The account's last admin cannot leave, be removed or be demoted")]
    LastAdmin,
    /// Whoever steps down or leaves takes nothing over from themselves.
    #[error("take_over_keys is for the keys of others")]
    OwnKeys,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeMemberError {
    pub(crate) fn unless_changed<T>(
        outcome: ChangeMember<T>,
    ) -> Result<(T, MadeBefore), ChangeMemberError> {
        match outcome {
            ChangeMember::Changed(member, before) => Ok((member, before)),
            ChangeMember::NotFound => Err(Self::NotFound),
            ChangeMember::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
            ChangeMember::LastAdmin => Err(Self::LastAdmin),
        }
    }
}

/// Gives somebody another role. What they made ends with a role that is too small for it, or
/// is the caller's.
pub async fn change_member_role(
    members: &dyn MemberRepository,
    signals: &Signals,
    caller: &Caller<Person<Admin>>,
    wanted: NewRole,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(Member, MadeBefore), ChangeMemberError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let keys = match wanted.take_over_keys {
        true if wanted.user_id == caller.id() => return Err(ChangeMemberError::OwnKeys),
        true => KeysOfMaker::TakeOver(caller.id()),
        false => KeysOfMaker::Revoke,
    };
    let changed = members.set_role(account, wanted.user_id, wanted.role, keys, &act);
    let changed = ChangeMemberError::unless_changed(changed.await?)?;
    signals.wake_identities();
    Ok(changed)
}
