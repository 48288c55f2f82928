//! The operator makes a user in an account (contract A13).

use rand::CryptoRng;
use remotegpu_accounts::{
    CreateUser, Email, NewUser, PasswordChange, PlainPassword, Role, UserRepository,
    one_time_password,
};
use remotegpu_primitives::{AccountId, StoreError, UserId};
use time::OffsetDateTime;

use crate::{
    Operator, PasswordError, PasswordWorkers, acts::create_first_admin::ONE_TIME_PASSWORD_LIFE,
};

/// No user was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// Another user has this e-mail.
    #[error("this e-mail is already in use")]
    EmailTaken,
    /// There is no such account.
    #[error("there is no such account")]
    AccountNotFound,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a user with a one-time password, which is answered and must be changed.
pub async fn create_user(
    users: &dyn UserRepository,
    passwords: &PasswordWorkers,
    operator: Operator,
    email: Email,
    (account, role): (AccountId, Role),
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<PlainPassword, CreateUserError> {
    let plain = one_time_password(rng);
    let turn = passwords.enter().await.map_err(PasswordError::from)?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let user = NewUser {
        id: UserId::generate(now, rng),
        email,
        password: turn.hash(plain.clone(), salt).await?,
        password_change: PasswordChange::NeededUntil(now + ONE_TIME_PASSWORD_LIFE),
        created_at: now,
    };
    let act = operator.act(rng, now);
    match users.insert_member(&user, account, role, &act).await? {
        CreateUser::Created => Ok(plain),
        CreateUser::EmailTaken => Err(CreateUserError::EmailTaken),
        CreateUser::AccountNotFound => Err(CreateUserError::AccountNotFound),
    }
}
