//! Somebody accepts an invitation (contract T7, T10).

use rand::CryptoRng;
use remotegpu_accounts::{
    AcceptInvitation, Account, Attempt, AttemptOutcome, AttemptRepository, ClientAddress, Guest,
    HashedInvitation, InvalidPassword, Invitation, InvitationRepository, NewUser, PasswordChange,
    PlainInvitation, PlainPassword, Role, UserRepository,
};
use remotegpu_primitives::{Act, Actor, Origin, StoreError, UserId, Word};
use time::{Duration, OffsetDateTime};

use crate::{
    Anyone, Caller, InvitedGuest, Overloaded, PasswordError, PasswordWorkers, Person,
    look_at_invitation,
};

/// What accepting needs.
#[derive(Clone, Copy)]
pub struct AcceptInvitationPorts<'a> {
    /// What is accepted.
    pub invitations: &'a dyn InvitationRepository,
    /// Who has a user.
    pub users: &'a dyn UserRepository,
    /// Where attempts are counted.
    pub attempts: &'a dyn AttemptRepository,
    /// What hashes and compares passwords.
    pub passwords: &'a PasswordWorkers,
}

/// The link, and what somebody who is not signed in typed.
#[derive(Clone, Copy)]
pub struct Acceptance<'a> {
    /// The secret of the link.
    pub secret: &'a str,
    /// A password: a new one for a new user; where there is one it stays as it is.
    pub password: Option<&'a str>,
}

/// Nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptInvitationError {
    /// There is no such open invitation.
    #[error("there is no such invitation")]
    NotFound,
    /// Whoever is signed in is somebody else.
    #[error("The invitation is for somebody else")]
    WrongPerson,
    /// The address has a user, who has to sign in first.
    #[error("Missing access token")]
    SignInFirst,
    /// The password is not that of the address's user.
    #[error("Wrong e-mail or password")]
    WrongCredentials,
    /// A new user needs a password.
    #[error("password is required")]
    PasswordMissing,
    /// It can be no password.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// Too many attempts; the next may come after this long.
    #[error("Too many attempts")]
    Throttled(Duration),
    /// Too many passwords are being hashed already; nothing was counted.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The password could not be hashed or compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes whoever the invitation is for into its account: the one who is signed in, a new
/// user, or one who has no account to sign in for and knows their password.
pub async fn accept_invitation(
    ports: AcceptInvitationPorts<'_>,
    visitor: Option<&Caller<Person<Anyone>>>,
    given: Acceptance<'_>,
    origin: Origin,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(Account, Word<Role>), AcceptInvitationError> {
    use AcceptInvitationError as E;
    let secret = PlainInvitation::parse(given.secret).map_err(|_| E::NotFound)?;
    let hash = secret.hash();
    let shown = look_at_invitation(ports.invitations, ports.users, given.secret, now).await?;
    let shown = shown.ok_or(E::NotFound)?;
    if let Some(caller) = visitor {
        if caller.user().email != shown.invitation.email {
            return Err(E::WrongPerson);
        }
        let act = caller.act(rng, now);
        return accept(ports, &hash, Guest::User(caller.id()), &act).await;
    }
    match shown.guest {
        InvitedGuest::SignsIn => Err(E::SignInFirst),
        InvitedGuest::HasPassword => {
            let password = given.password.ok_or(E::SignInFirst)?;
            let id = known(ports, &shown.invitation, password, &origin, now).await?;
            let act = Act::new(Actor::User(id), origin, rng, now);
            accept(ports, &hash, Guest::User(id), &act).await
        }
        InvitedGuest::IsNew => {
            let password = PlainPassword::parse(given.password.ok_or(E::PasswordMissing)?)?;
            let user = new_user(ports, &shown.invitation, password, &origin, rng, now).await?;
            let act = Act::new(Actor::User(user.id), origin, rng, now);
            accept(ports, &hash, Guest::New(&user), &act).await
        }
    }
}

/// The user of the address, by a password that is compared as when one signs in.
async fn known(
    ports: AcceptInvitationPorts<'_>,
    invitation: &Invitation,
    password: &str,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<UserId, AcceptInvitationError> {
    let address = ClientAddress::from(origin);
    let turn = ports.passwords.enter_from(address).await?;
    let attempt = Attempt::sign_in(&invitation.email, address);
    if let AttemptOutcome::Throttled(wait) = ports.attempts.begin(&attempt, now).await? {
        return Err(AcceptInvitationError::Throttled(wait));
    }
    let found = ports.users.find_by_email(&invitation.email).await?;
    let user = found.ok_or(AcceptInvitationError::WrongCredentials)?;
    let presented = PlainPassword::presented(password);
    let matches = turn.matches(presented, user.password).await?;
    if !matches || user.password_change.is_over(now) {
        return Err(AcceptInvitationError::WrongCredentials);
    }
    ports.attempts.clear(&attempt).await?;
    Ok(user.id)
}

/// A user for the address, counted as when one signs up.
async fn new_user(
    ports: AcceptInvitationPorts<'_>,
    invitation: &Invitation,
    password: PlainPassword,
    origin: &Origin,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<NewUser, AcceptInvitationError> {
    let address = ClientAddress::from(origin);
    let turn = ports.passwords.enter_from(address).await?;
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let id = UserId::generate(now, rng);
    let attempt = Attempt::sign_up(&invitation.email, address);
    if let AttemptOutcome::Throttled(wait) = ports.attempts.begin(&attempt, now).await? {
        return Err(AcceptInvitationError::Throttled(wait));
    }
    Ok(NewUser {
        id,
        email: invitation.email.clone(),
        password: turn.hash(password, salt).await?,
        password_change: PasswordChange::NotNeeded,
        created_at: now,
    })
}

async fn accept(
    ports: AcceptInvitationPorts<'_>,
    hash: &HashedInvitation,
    guest: Guest<'_>,
    act: &Act,
) -> Result<(Account, Word<Role>), AcceptInvitationError> {
    match ports.invitations.accept(hash, guest, act).await? {
        AcceptInvitation::Accepted(account, role) => Ok((account, role)),
        AcceptInvitation::NotFound => Err(AcceptInvitationError::NotFound),
        AcceptInvitation::WrongPerson => Err(AcceptInvitationError::WrongPerson),
        AcceptInvitation::EmailTaken => Err(AcceptInvitationError::SignInFirst),
    }
}
