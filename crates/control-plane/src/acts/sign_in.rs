//! A person signs in (contract A6, A8).

use rand::CryptoRng;
use remotegpu_accounts::{
    Attempt, AttemptOutcome, AttemptRepository, AuditAction, AuditDetails, AuditSubject,
    ClientAddress, Email, HashedPassword, InsertSession, Membership, NewAuditEvent, NewSession,
    PlainPassword, PlainSession, Session, SessionContext, SessionRepository, User, UserRepository,
};
use remotegpu_primitives::{Act, Actor, Origin, SessionId, StoreError, UserId};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{AuditBuffer, Overloaded, PasswordError, PasswordWorkers};

/// What signing in needs.
#[derive(Clone, Copy)]
pub struct SignInPorts<'a> {
    /// Who can sign in.
    pub users: &'a dyn UserRepository,
    /// Where the session goes.
    pub sessions: &'a dyn SessionRepository,
    /// Where attempts are counted.
    pub attempts: &'a dyn AttemptRepository,
    /// What compares passwords.
    pub passwords: &'a PasswordWorkers,
    /// Where refusals are noted.
    pub audit: &'a AuditBuffer,
}

/// No user has this identifier.
const NOBODY: UserId = UserId::from_uuid(Uuid::nil());

/// A new session, and the secret that opens it.
#[derive(Debug)]
pub struct SignedIn {
    /// The secret; it is told once.
    pub secret: PlainSession,
    /// Who is signed in, and what for.
    pub context: SessionContext,
}

/// Nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such user, a wrong password, or a one-time password after its time.
    #[error("Wrong e-mail or password")]
    WrongCredentials,
    /// Too many failures; the next attempt may come after this long.
    #[error("Too many attempts")]
    Throttled(Duration),
    /// The user is a member of no account.
    #[error("You are a member of no account")]
    NoAccount,
    /// The user's accounts are all suspended.
    #[error("The account is suspended")]
    AccountSuspended,
    /// Too many sign in already; nothing was counted.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The password could not be compared.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs a person in from `origin`. An e-mail that is none, an unknown one and
/// a wrong password cost and answer the same. Who finds too many signing in already
/// is refused before the store is asked, and has not failed.
pub async fn sign_in(
    ports: SignInPorts<'_>,
    email: &str,
    password: &str,
    origin: Origin,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<SignedIn, SignInError> {
    let address = ClientAddress::from(&origin);
    let turn = ports.passwords.enter_from(address).await?;
    let secret = PlainSession::generate(rng);
    let session_id = SessionId::generate(now, rng);
    let mut act = Act::new(Actor::Anonymous, origin, rng, now);

    // What is no address is counted and compared like an unknown one, but the
    // store never sees it.
    let email = Email::parse(email).map_err(|_| Email::from_stored(email.to_owned()));
    let (Ok(counted) | Err(counted)) = &email;
    let attempt = Attempt::sign_in(counted, address);
    if let AttemptOutcome::Throttled(wait) = ports.attempts.begin(&attempt, now).await? {
        return Err(SignInError::Throttled(wait));
    }

    let user = match &email {
        Ok(email) => ports.users.find_by_email(email).await?,
        Err(_) => None,
    };
    // Asked for an unknown e-mail too, of nobody: it must cost the same.
    let asked = user.as_ref().map_or(NOBODY, |user| user.id);
    let memberships = ports.users.memberships(asked).await?;
    let stored = user
        .as_ref()
        .map_or_else(HashedPassword::of_nobody, |user| user.password.clone());
    let presented = PlainPassword::presented(password);
    let matches = turn.matches(presented, stored).await?;
    let Some(user) = user else {
        return Err(SignInError::WrongCredentials);
    };
    if !matches || user.password_change.is_over(now) {
        ports.audit.note(refused(act, &user, &memberships));
        return Err(SignInError::WrongCredentials);
    }
    ports.attempts.clear(&attempt).await?;

    act.actor = Actor::User(user.id);
    if memberships.is_empty() {
        return Err(SignInError::NoAccount);
    }
    let mut open = memberships;
    open.retain(|membership| membership.account.suspended_at.is_none());
    // Contract A11: the account last acted for, else that of the oldest membership.
    let last = open.iter().position(|membership| membership.last_acted_for);
    let chosen = open.into_iter().nth(last.unwrap_or(0));
    let Membership { account, role, .. } = chosen.ok_or(SignInError::AccountSuspended)?;
    let session = Session {
        id: session_id,
        user_id: user.id,
        account_id: account.id,
        created_at: now,
        last_seen_at: now,
    };
    let new = NewSession {
        hash: secret.hash(),
        verified: user.password.clone(),
        session: session.clone(),
    };
    match ports.sessions.insert(&new, &act).await? {
        InsertSession::Inserted => {}
        InsertSession::AccountSuspended => return Err(SignInError::AccountSuspended),
        InsertSession::PasswordChanged => return Err(SignInError::WrongCredentials),
    }
    Ok(SignedIn {
        secret,
        context: SessionContext {
            session,
            user,
            account,
            role,
        },
    })
}

/// What all of the user's accounts are told. Not what was typed: people type
/// passwords into the wrong field.
fn refused(act: Act, user: &User, memberships: &[Membership]) -> NewAuditEvent {
    let of = |membership: &Membership| membership.account.id;
    NewAuditEvent {
        act,
        accounts: memberships.iter().map(of).collect(),
        action: AuditAction::UserSignInRefused,
        subject: AuditSubject::User(user.id),
        details: AuditDetails::default(),
    }
}
