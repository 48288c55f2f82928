//! A person changes their own password (contract A10).

use rand::CryptoRng;
use remotegpu_accounts::{
    Attempt, AttemptOutcome, AttemptRepository, AuditAction, AuditSubject, ClientAddress,
    NewAuditEvent, PasswordChange, PlainPassword, UserRepository,
};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::{AuditBuffer, Caller, OneTimePassword, Overloaded, PasswordError, PasswordWorkers};

/// What changing a password needs.
#[derive(Clone, Copy)]
pub struct ChangePasswordPorts<'a> {
    /// Whose password it is.
    pub users: &'a dyn UserRepository,
    /// Where wrong current passwords are counted.
    pub attempts: &'a dyn AttemptRepository,
    /// What compares and hashes.
    pub passwords: &'a PasswordWorkers,
    /// Where wrong current passwords are noted.
    pub audit: &'a AuditBuffer,
}

/// The password stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The current password is another.
    #[error("Wrong e-mail or password")]
    WrongCredentials,
    /// The new password is the current one.
    #[error("new must not be the current password")]
    Unchanged,
    /// Too many wrong current passwords; the next may come after this long.
    #[error("Too many attempts")]
    Throttled(Duration),
    /// Too many passwords are being hashed already; nothing was counted.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// A password could not be compared or hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sets `new` if `current` is the user's password, and ends the user's other
/// sessions.
pub async fn change_password(
    ports: ChangePasswordPorts<'_>,
    caller: &Caller<OneTimePassword>,
    current: &str,
    new: PlainPassword,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(), ChangePasswordError> {
    let act = caller.act(rng, now);
    let address = ClientAddress::from(&act.origin);
    let turn = ports.passwords.enter_from(address).await?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let user = caller.user();
    let attempt = Attempt::sign_in(&user.email, address);
    if let AttemptOutcome::Throttled(wait) = ports.attempts.begin(&attempt, now).await? {
        return Err(ChangePasswordError::Throttled(wait));
    }
    let presented = PlainPassword::presented(current);
    if !turn.matches(presented, user.password.clone()).await? {
        let (account, subject) = (caller.account().id, AuditSubject::User(user.id));
        let action = AuditAction::UserSignInRefused;
        ports
            .audit
            .note(NewAuditEvent::new(&act, account, action, subject));
        return Err(ChangePasswordError::WrongCredentials);
    }
    ports.attempts.clear(&attempt).await?;
    if new.reveal() == current {
        return Err(ChangePasswordError::Unchanged);
    }
    let hash = turn.hash(new, salt).await?;
    let (verified, keep) = (Some(&user.password), Some(caller.context().session.id));
    let change = PasswordChange::NotNeeded;
    let users = ports.users;
    if users
        .set_password(user.id, verified, &hash, change, keep, &act)
        .await?
    {
        Ok(())
    } else {
        Err(ChangePasswordError::WrongCredentials)
    }
}
