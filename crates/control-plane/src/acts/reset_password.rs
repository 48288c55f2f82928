//! The operator gives a user a one-time password (contract A13).

use std::io;

use rand::CryptoRng;
use remotegpu_accounts::{Email, PasswordChange, PlainPassword, UserRepository, one_time_password};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{
    Operator, PasswordError, PasswordWorkers, acts::create_first_admin::ONE_TIME_PASSWORD_LIFE,
};

/// The password stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// There is no such user.
    #[error("there is no user with this e-mail")]
    UserNotFound,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The operator could not be told the password.
    #[error("the one-time password could not be told, and nothing was changed")]
    Untold(#[source] io::Error),
    /// Told, but not set.
    #[error("the one-time password that was told does not count: the database did not answer")]
    Unset(#[source] StoreError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sets a one-time password, which must be changed, and ends the user's sessions. It is
/// told before: whoever cannot be told keeps the old one.
pub async fn reset_password(
    users: &dyn UserRepository,
    passwords: &PasswordWorkers,
    operator: Operator,
    email: &Email,
    tell: impl FnOnce(&PlainPassword) -> io::Result<()>,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(), ResetPasswordError> {
    let plain = one_time_password(rng);
    let turn = passwords.enter().await.map_err(PasswordError::from)?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let user = users
        .find_by_email(email)
        .await?
        .ok_or(ResetPasswordError::UserNotFound)?;
    let hash = turn.hash(plain.clone(), salt).await?;
    let change = PasswordChange::NeededUntil(now + ONE_TIME_PASSWORD_LIFE);
    let act = operator.act(rng, now);
    tell(&plain).map_err(ResetPasswordError::Untold)?;
    let set = users.set_password(user.id, None, &hash, change, None, &act);
    if set.await.map_err(ResetPasswordError::Unset)? {
        Ok(())
    } else {
        Err(ResetPasswordError::UserNotFound)
    }
}
