//! The first start on an empty store makes the operator's account (contract A10).

use rand::CryptoRng;
use remotegpu_accounts::{
    AccountName, Email, NewUser, PasswordChange, PlainPassword, UserRepository, one_time_password,
};
use remotegpu_primitives::{Act, Actor, Origin, StoreError, UserId};
use time::{Duration, OffsetDateTime};

use crate::{PasswordError, PasswordWorkers, acts::sign_up::new_account};

/// How long a one-time password opens the route that changes it.
pub(crate) const ONE_TIME_PASSWORD_LIFE: Duration = Duration::hours(24);

/// Where the first password comes from.
#[derive(Debug, Clone)]
pub enum FirstPassword {
    /// A one-time password is made, and must be changed.
    OneTime,
    /// The operator gave one, which need not be changed.
    Given(PlainPassword),
}

/// The operator's user, as it was made by this very call.
#[derive(Debug)]
pub struct FirstAdmin {
    /// What they sign in with.
    pub email: Email,
    /// The one-time password, to be told once, outside the log.
    pub one_time_password: Option<PlainPassword>,
}

/// The operator's account could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateFirstAdminError {
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the operator's account if the store never had one. `None` for every
/// caller but the one whose insert won; whoever comes later hashes nothing.
pub async fn create_first_admin(
    users: &dyn UserRepository,
    passwords: &PasswordWorkers,
    email: Email,
    password: FirstPassword,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Option<FirstAdmin>, CreateFirstAdminError> {
    if users.has_first().await? {
        return Ok(None);
    }
    let (plain, change) = match password {
        FirstPassword::Given(plain) => (plain, PasswordChange::NotNeeded),
        FirstPassword::OneTime => (
            one_time_password(rng),
            PasswordChange::NeededUntil(now + ONE_TIME_PASSWORD_LIFE),
        ),
    };
    let turn = passwords.enter().await.map_err(PasswordError::from)?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let name = AccountName::from_stored("Operator".to_owned());
    let account = new_account(name, rng, now);
    let user = NewUser {
        id: UserId::generate(now, rng),
        email,
        password: turn.hash(plain.clone(), salt).await?,
        password_change: change,
        created_at: now,
    };
    let act = Act::new(Actor::System, Origin::default(), rng, now);
    if !users.insert_first(&user, &account, &act).await? {
        return Ok(None);
    }
    Ok(Some(FirstAdmin {
        email: user.email,
        one_time_password: matches!(change, PasswordChange::NeededUntil(_)).then_some(plain),
    }))
}
