//! A person makes a user and an account of their own (contract A10).

use rand::CryptoRng;
use remotegpu_accounts::{
    Account, AccountLimits, AccountName, Attempt, AttemptOutcome, AttemptRepository, ClientAddress,
    CreateUser, Email, NewUser, PasswordChange, PlainPassword, UserRepository,
};
use remotegpu_primitives::{AccountId, Act, Actor, Origin, StoreError, UserId};
use time::{Duration, OffsetDateTime};

use crate::{Overloaded, PasswordError, PasswordWorkers};

/// What signing up needs.
#[derive(Clone, Copy)]
pub struct SignUpPorts<'a> {
    /// Where the user goes.
    pub users: &'a dyn UserRepository,
    /// Where attempts are counted.
    pub attempts: &'a dyn AttemptRepository,
    /// What hashes the password.
    pub passwords: &'a PasswordWorkers,
}

/// Who signs up.
#[derive(Debug, Clone)]
pub struct SignUp {
    /// What they will sign in with.
    pub email: Email,
    /// Their password.
    pub password: PlainPassword,
    /// What their account is called.
    pub account_name: AccountName,
}

/// Nobody signed up.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Another user has this e-mail.
    #[error("This e-mail is already in use")]
    EmailTaken,
    /// Too many attempts from this address; the next may come after this long.
    #[error("Too many attempts")]
    Throttled(Duration),
    /// Too many passwords are being hashed already; nothing was counted.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the user and the account, with the role `admin`.
pub async fn sign_up(
    ports: SignUpPorts<'_>,
    wanted: SignUp,
    origin: Origin,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(NewUser, Account), SignUpError> {
    let address = ClientAddress::from(&origin);
    let turn = ports.passwords.enter_from(address).await?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let user_id = UserId::generate(now, rng);
    let account = new_account(wanted.account_name, rng, now);
    let act = Act::new(Actor::User(user_id), origin, rng, now);

    let attempt = Attempt::sign_up(&wanted.email, address);
    if let AttemptOutcome::Throttled(wait) = ports.attempts.begin(&attempt, now).await? {
        return Err(SignUpError::Throttled(wait));
    }
    let user = NewUser {
        id: user_id,
        email: wanted.email,
        password: turn.hash(wanted.password, salt).await?,
        password_change: PasswordChange::NotNeeded,
        created_at: now,
    };
    let created = ports.users.insert_with_account(&user, &account, &act);
    match created.await? {
        CreateUser::Created => Ok((user, account)),
        CreateUser::EmailTaken | CreateUser::AccountNotFound => Err(SignUpError::EmailTaken),
    }
}

pub(crate) fn new_account(
    name: AccountName,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Account {
    Account {
        id: AccountId::generate(now, rng),
        name,
        limits: AccountLimits::default(),
        suspended_at: None,
        created_at: now,
    }
}
