#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod account;
mod attempt;
mod audit_event;
mod form;
mod installation_sessions;
mod invitation;
mod member;
mod opaque_secret;
mod password;
mod repository;
mod service_user;
mod session;
mod user;

pub use account::{
    Account, AccountLimits, AccountName, InvalidAccountName, LimitChange, LimitChanges, Role,
    UnknownRole,
};
pub use attempt::{Attempt, AttemptKind, AttemptOutcome, ClientAddress};
pub use audit_event::{
    ACTOR_KINDS, AuditAction, AuditDetails, AuditEvent, AuditFilter, AuditLog, AuditSubject,
    EventActor, EventSubject, NewAuditEvent, Party, actor_from_parts, actor_parts,
};
pub use form::{ClaimedForm, FormKey, FormRepository};
pub use installation_sessions::{InstallationSessions, OwnedSession};
pub use invitation::{
    AcceptInvitation, DeleteInvitation, Guest, HashedInvitation, InsertInvitation, Invitation,
    InvitationRepository, MalformedInvitation, NewInvitation, PlainInvitation,
};
pub use member::{ChangeMember, KeysOfMaker, Made, MadeBefore, MadeKind, Member, MemberRepository};
pub use password::{
    HashedPassword, InvalidPassword, PlainPassword, UnreadablePasswordHash, one_time_password,
};
pub use repository::{
    AccountRepository, AttemptRepository, CreateUser, InsertSession, SessionRepository,
    UserRepository,
};
pub use service_user::{
    HashedServiceUserToken, InsertLimited, NewServiceUser, NewServiceUserToken,
    PlainServiceUserToken, ServiceUser, ServiceUserChange, ServiceUserContext,
    ServiceUserRepository, ServiceUserSecret, ServiceUserToken,
};
pub use session::{
    HashedSession, MalformedSession, NewSession, OpenedSession, PlainSession, Session,
    SessionContext, SessionPolicy,
};
pub use user::{Email, InvalidEmail, Membership, NewUser, PasswordChange, User};
