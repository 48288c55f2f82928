//! Who asks for an act. An act takes its caller as an argument, and says in its signature
//! what the caller must be allowed: whatever stands in front of it, a route or a command,
//! can neither forget to ask nor ask for something else.

use std::{fmt, marker::PhantomData, time::Instant};

use rand::CryptoRng;
use remotegpu_accounts::{Account, PasswordChange, Role, ServiceUserContext, SessionContext, User};
use remotegpu_keys::PresentedKey;
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{Act, Actor, FormHash, Origin, Shown, Standing, UserId};
use time::OffsetDateTime;

/// Whoever acts for an account, and has shown who they are.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A person who is signed in.
    Person(SessionContext),
    /// A machine that manages, with its token (contract T8).
    ServiceUser(ServiceUserContext),
}

/// What a caller is who has a right: anybody, or a person.
pub trait Who: Clone + 'static {
    /// Who it is.
    fn asking(&self) -> Asking<'_>;

    /// The same, where it is one of these.
    fn of(asking: Asking<'_>) -> Option<Self>;
}

/// Who asks, whatever their caller says of them.
#[derive(Debug, Clone, Copy)]
pub enum Asking<'a> {
    /// A person who is signed in.
    Person(&'a SessionContext),
    /// A machine that manages.
    ServiceUser(&'a ServiceUserContext),
}

impl Who for Principal {
    fn asking(&self) -> Asking<'_> {
        match self {
            Self::Person(context) => Asking::Person(context),
            Self::ServiceUser(context) => Asking::ServiceUser(context),
        }
    }

    fn of(asking: Asking<'_>) -> Option<Self> {
        Some(match asking {
            Asking::Person(context) => Self::Person(context.clone()),
            Asking::ServiceUser(context) => Self::ServiceUser(context.clone()),
        })
    }
}

impl Who for SessionContext {
    fn asking(&self) -> Asking<'_> {
        Asking::Person(self)
    }

    fn of(asking: Asking<'_>) -> Option<Self> {
        match asking {
            Asking::Person(context) => Some(context.clone()),
            Asking::ServiceUser(_) => None,
        }
    }
}

impl<'a> Asking<'a> {
    fn id(self) -> UserId {
        match self {
            Self::Person(context) => context.user.id,
            Self::ServiceUser(context) => context.service_user.id,
        }
    }

    fn account(self) -> &'a Account {
        match self {
            Self::Person(context) => &context.account,
            Self::ServiceUser(context) => &context.account,
        }
    }

    /// Whether their role allows what `needed` does. One that a newer version gave allows
    /// nothing (contract R6).
    fn has_role(self, needed: Role) -> bool {
        let role = match self {
            Self::Person(context) => &context.role,
            Self::ServiceUser(context) => &context.service_user.role,
        };
        role.known().is_some_and(|role| role.allows(needed))
    }

    fn must_change_password(self) -> bool {
        match self {
            Self::Person(context) => context.user.password_change != PasswordChange::NotNeeded,
            Self::ServiceUser(_) => false,
        }
    }

    /// What is asked for again when an act is stored that takes this role.
    fn standing(self, role: Role) -> Standing {
        Standing {
            account: self.account().id,
            user: self.id(),
            roles: role.and_above(),
            shown: match self {
                Self::Person(context) => Shown::Session(context.session.id),
                Self::ServiceUser(context) => Shown::Token(context.token.id),
            },
        }
    }

    fn actor(self) -> Actor {
        match self {
            Self::Person(context) => Actor::User(context.user.id),
            Self::ServiceUser(context) => Actor::ServiceUser(context.service_user.id),
        }
    }
}

/// What an act asks of whoever acts for an account (contract A11).
pub trait Right: 'static {
    /// Who may have it: anybody, or people alone (contract T8).
    type Who: Who;
    /// The smallest role, where there is one.
    const ROLE: Option<Role>;
    /// Whether somebody may come with a password that must be changed first.
    const ONE_TIME_PASSWORD: bool = false;
}

/// What only people may: to whom it is given has a session of their own.
pub trait PersonsRight: Right<Who = SessionContext> {}

impl<R: Right<Who = SessionContext>> PersonsRight for R {}

/// Nothing but to act for an account, for what is about nothing but that: also where
/// this version does not know the role (contract R6).
pub enum Anyone {}

/// To see what the account has.
pub enum Read {}

/// To create, change and deploy.
pub enum Write {}

/// To manage members, and see who did what.
pub enum Admin {}

/// A person, with whatever password (contract A10).
pub enum OneTimePassword {}

/// The right `R`, for people alone: what is about a person's own session and tokens, and
/// about who else has a right.
pub struct Person<R>(PhantomData<fn() -> R>);

impl Right for Anyone {
    type Who = Principal;
    const ROLE: Option<Role> = None;
}

impl Right for Read {
    type Who = Principal;
    const ROLE: Option<Role> = Some(Role::Read);
}

impl Right for Write {
    type Who = Principal;
    const ROLE: Option<Role> = Some(Role::Write);
}

impl Right for Admin {
    type Who = Principal;
    const ROLE: Option<Role> = Some(Role::Admin);
}

impl Right for OneTimePassword {
    type Who = SessionContext;
    const ROLE: Option<Role> = None;
    const ONE_TIME_PASSWORD: bool = true;
}

impl<R: Right> Right for Person<R> {
    type Who = SessionContext;
    const ROLE: Option<Role> = R::ROLE;
    const ONE_TIME_PASSWORD: bool = R::ONE_TIME_PASSWORD;
}

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Their password was handed out once (contract A10).
    #[error("The password must be changed first")]
    PasswordChangeRequired,
    /// It is for people alone (contract T8).
    #[error("This is for people, not for service users")]
    NotForServiceUsers,
    /// Their role in the account does not allow it.
    #[error("The role in this account does not allow this")]
    RoleTooSmall,
}

/// Whoever acts for an account, and may do there what `R` says: there is no other way to
/// one than [`Caller::may`].
pub struct Caller<R: Right> {
    who: R::Who,
    origin: Origin,
    right: PhantomData<fn() -> R>,
}

impl Caller<OneTimePassword> {
    /// The person whose session this is, calling from `origin`.
    pub fn signed_in(context: SessionContext, origin: Origin) -> Self {
        Self {
            who: context,
            origin,
            right: PhantomData,
        }
    }
}

impl Caller<Anyone> {
    /// The service user that has shown its token, calling from `origin`.
    pub fn service_user(context: ServiceUserContext, origin: Origin) -> Self {
        Self {
            who: Principal::ServiceUser(context),
            origin,
            right: PhantomData,
        }
    }
}

impl<R: Right> Caller<R> {
    /// The same as one who may do what `S` says, if they may.
    pub fn may<S: Right>(&self) -> Result<Caller<S>, NotAllowed> {
        let asking = self.who.asking();
        if asking.must_change_password() && !S::ONE_TIME_PASSWORD {
            return Err(NotAllowed::PasswordChangeRequired);
        }
        let who = S::Who::of(asking).ok_or(NotAllowed::NotForServiceUsers)?;
        if S::ROLE.is_some_and(|needed| !asking.has_role(needed)) {
            return Err(NotAllowed::RoleTooSmall);
        }
        Ok(Caller {
            who,
            origin: self.origin.clone(),
            right: PhantomData,
        })
    }

    /// The same, asking by this form: what they ask for is done once (contract H3).
    #[must_use]
    pub fn by_form(mut self, form: FormHash) -> Self {
        self.origin.form = Some(form);
        self
    }

    /// Who asks.
    pub fn asking(&self) -> Asking<'_> {
        self.who.asking()
    }

    /// By what those are known that they make: whoever makes something answers for it
    /// (contract K15).
    pub fn id(&self) -> UserId {
        self.asking().id()
    }

    /// The account they act for.
    pub fn account(&self) -> &Account {
        self.asking().account()
    }

    /// Their session, where it is a person who asks.
    pub fn session(&self) -> Option<&SessionContext> {
        match self.asking() {
            Asking::Person(context) => Some(context),
            Asking::ServiceUser(_) => None,
        }
    }

    /// What they do now.
    pub(crate) fn act(&self, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Act {
        let standing = R::ROLE.map(|role| self.asking().standing(role));
        Act::new(self.asking().actor(), self.origin.clone(), rng, now).standing_on(standing)
    }
}

impl<R: PersonsRight> Caller<R> {
    /// Who it is.
    pub fn user(&self) -> &User {
        &self.who.user
    }

    /// Their session, with all that decides what it opens.
    pub fn context(&self) -> &SessionContext {
        &self.who
    }
}

impl<R: Right> fmt::Debug for Caller<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.asking() {
            Asking::Person(_) => "user",
            Asking::ServiceUser(_) => "service user",
        };
        let (id, account) = (self.id(), self.account().id);
        write!(f, "the {kind} {id} in the account {account}")
    }
}

/// A program that has shown an API key. What it may do is said by the key's scopes.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    presented: PresentedKey,
    origin: Origin,
    named: bool,
    came: Instant,
}

impl KeyHolder {
    /// Whoever calls with this key from `origin`.
    pub fn new(presented: PresentedKey, origin: Origin) -> Self {
        Self {
            presented,
            origin,
            named: false,
            came: Instant::now(),
        }
    }

    /// The same, whose request came then: its answer is due from there.
    #[must_use]
    pub fn that_came(self, came: Instant) -> Self {
        Self { came, ..self }
    }

    /// The same, whose request has its id from itself, and can come again under it.
    #[must_use]
    pub fn under_its_own_name(self, named: bool) -> Self {
        Self { named, ..self }
    }

    /// The key, and the secret of it that was shown.
    pub fn presented(&self) -> &PresentedKey {
        &self.presented
    }

    /// The same, of a holder who asks for nothing else.
    pub fn into_presented(self) -> PresentedKey {
        self.presented
    }

    /// When its request came.
    pub(crate) fn came(&self) -> Instant {
        self.came
    }

    /// What it calls its own request.
    pub(crate) fn request_name(&self) -> Option<&str> {
        self.origin.request_id.as_deref().filter(|_| self.named)
    }

    /// What it does now.
    pub(crate) fn act(&self, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Act {
        let (actor, origin) = (Actor::ApiKey(self.presented.key.id), self.origin.clone());
        Act::new(actor, origin, rng, now)
    }
}

/// A cluster that asks who somebody is, known by its own credential (contract T6).
#[derive(Debug, Clone)]
pub struct AskingCluster(ClusterName);

impl AskingCluster {
    pub(crate) fn known(cluster: ClusterName) -> Self {
        Self(cluster)
    }

    /// The embedded development cluster, which is this process itself: nothing that comes
    /// over the network is ever it.
    pub fn in_this_process(cluster: ClusterName) -> Self {
        Self(cluster)
    }

    /// Which it is.
    pub fn cluster(&self) -> &ClusterName {
        &self.0
    }
}

/// The installation's operator, who works on the server (contract A13).
#[derive(Debug, Clone, Copy)]
pub struct Operator(Actor);

impl Operator {
    /// Whoever runs the program beside its database: nothing that comes over the network
    /// is ever the operator.
    pub fn at_the_command_line() -> Self {
        Self(Actor::Operator)
    }

    /// What the operator does now.
    pub(crate) fn act(self, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Act {
        Act::new(self.0, Origin::default(), rng, now)
    }
}
