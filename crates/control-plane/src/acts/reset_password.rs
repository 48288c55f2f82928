//! The operator gives a user a one-time password (contract A13).

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
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sets a one-time password, which is answered and must be changed, and ends the
/// user's sessions.
pub async fn reset_password(
    users: &dyn UserRepository,
    passwords: &PasswordWorkers,
    operator: Operator,
    email: &Email,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<PlainPassword, ResetPasswordError> {
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
    if users
        .set_password(user.id, None, &hash, change, None, &act)
        .await?
    {
        Ok(plain)
    } else {
        Err(ResetPasswordError::UserNotFound)
    }
}
