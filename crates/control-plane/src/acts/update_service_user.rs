//! An admin renames a service user, or gives it another role (contract K15, T8).

use rand::CryptoRng;
use remotegpu_accounts::{
    KeysOfMaker, MadeBefore, ServiceUser, ServiceUserChange, ServiceUserRepository,
};
use remotegpu_primitives::UserId;
use time::OffsetDateTime;

use crate::{Admin, Caller, ChangeMemberError, Person, Signals};

/// What shall become of a service user.
#[derive(Debug, Clone)]
pub struct UpdateServiceUser {
    /// Which one.
    pub service_user_id: UserId,
    /// What shall be another.
    pub change: ServiceUserChange,
    /// Whether the caller takes over the API keys that would end by it.
    pub take_over_keys: bool,
}

/// Changes a service user. What it made ends with a role that is too small for it, or is the
/// caller's.
pub async fn update_service_user(
    service_users: &dyn ServiceUserRepository,
    signals: &Signals,
    caller: &Caller<Person<Admin>>,
    wanted: UpdateServiceUser,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(ServiceUser, MadeBefore), ChangeMemberError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let keys = if wanted.take_over_keys {
        KeysOfMaker::TakeOver(caller.id())
    } else {
        KeysOfMaker::Revoke
    };
    let (id, change) = (wanted.service_user_id, &wanted.change);
    let updated = service_users.update(account, id, change, keys, &act);
    let updated = ChangeMemberError::unless_changed(updated.await?)?;
    signals.wake_identities();
    Ok(updated)
}
