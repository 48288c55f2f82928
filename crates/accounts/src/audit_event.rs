//! What is remembered of acts: who did what to what, from where (contract R5).
//! Identifiers only, never a secret, nor what somebody typed who was refused.

use async_trait::async_trait;
use remotegpu_primitives::{
    AccessTokenId, AccountId, Act, Actor, ApiKeyId, AuditEventId, InvitationId, KubeconfigTokenId,
    NamespaceId, Origin, Page, PageRequest, ServiceUserTokenId, SessionId, StoreError, UserId,
    Vocabulary, Word,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Role;

macro_rules! audit_actions {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditAction {
            $($(#[$doc])* $name,)*
        }

        impl AuditAction {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word on the wire and in the store.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

audit_actions! {
    /// An API key was made.
    ApiKeyIssued => "api_key.issued",
    /// An API key's name, scopes or end was changed.
    ApiKeyUpdated => "api_key.updated",
    /// An API key got a new secret.
    ApiKeyRotated => "api_key.rotated",
    /// An API key was revoked.
    ApiKeyRevoked => "api_key.revoked",
    /// A namespace was made.
    NamespaceCreated => "namespace.created",
    /// A namespace got another name.
    NamespaceRenamed => "namespace.renamed",
    /// Somebody let a namespace go, with all that is in it.
    NamespaceDeleted => "namespace.deleted",
    /// The operator gave the account a namespace that no row knew.
    NamespaceAdopted => "namespace.adopted",
    /// The operator had a namespace deleted that no row knew.
    NamespaceHeldDeleted => "namespace.held_deleted",
    /// The operator had a namespace made again that was not in its cluster any more.
    NamespaceRestored => "namespace.restored",
    /// A key was given a token for a namespace's cluster.
    CredentialMinted => "credential.minted",
    /// Somebody made a kubeconfig with a token in it.
    KubeconfigTokenIssued => "kubeconfig_token.issued",
    /// A token in a kubeconfig was ended before its time.
    KubeconfigTokenEnded => "kubeconfig_token.ended",
    /// Somebody signed in.
    SessionSignedIn => "session.signed_in",
    /// Somebody signed out.
    SessionSignedOut => "session.signed_out",
    /// A session went over to another account; both accounts have this.
    SessionSwitched => "session.switched",
    /// Somebody gave a wrong password for a user, or one whose time was over.
    UserSignInRefused => "user.sign_in_refused",
    /// A user changed their own password.
    UserPasswordChanged => "user.password_changed",
    /// The operator gave a user a one-time password.
    UserPasswordReset => "user.password_reset",
    /// A service user was made.
    ServiceUserCreated => "service_user.created",
    /// A service user's name or role was changed.
    ServiceUserUpdated => "service_user.updated",
    /// A service user was deleted, with its tokens.
    ServiceUserDeleted => "service_user.deleted",
    /// A service user was given a token.
    ServiceUserTokenIssued => "service_user_token.issued",
    /// A service user's token was deleted.
    ServiceUserTokenDeleted => "service_user_token.deleted",
    /// The operator made a user who is a member of the account.
    UserCreated => "user.created",
    /// A member made themselves an access token.
    AccessTokenIssued => "access_token.issued",
    /// An access token was deleted: by its holder, by an admin, or with what it stood on.
    AccessTokenDeleted => "access_token.deleted",
    /// Somebody got another role in the account, or was taken into it by the operator.
    MemberRoleChanged => "member.role_changed",
    /// An admin, or the operator, ended somebody's membership.
    MemberRemoved => "member.removed",
    /// Somebody ended their own membership.
    MemberLeft => "member.left",
    /// An admin asked somebody into the account.
    InvitationCreated => "invitation.created",
    /// An admin took an invitation back, or is no admin any more.
    InvitationDeleted => "invitation.deleted",
    /// Whom an invitation was for accepted it.
    InvitationAccepted => "invitation.accepted",
    /// The account was made.
    AccountCreated => "account.created",
    /// The operator suspended the account.
    AccountSuspended => "account.suspended",
    /// The operator lifted the suspension.
    AccountResumed => "account.resumed",
    /// The operator replaced the account's own limits.
    AccountLimitsSet => "account.limits_set",
}

impl AuditAction {
    /// The action that has this word.
    pub fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|action| action.as_str() == word)
    }
}

impl Vocabulary for AuditAction {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::parse(word)
    }
}

/// Whom or what an event names: of a kind that this version knows, or of one that a
/// newer version wrote, which is shown as it is (contract R6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party<T, Id> {
    /// One that this version knows.
    Known(T),
    /// One that it does not.
    Unknown {
        /// The word of its kind.
        kind: String,
        /// Its identifier.
        id: Id,
    },
}

impl<T: PartialEq, Id> PartialEq<T> for Party<T, Id> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(known) if known == other)
    }
}

/// Who did what an event tells of.
pub type EventActor = Party<Actor, Option<Uuid>>;
/// What it was done to.
pub type EventSubject = Party<AuditSubject, Uuid>;

impl EventActor {
    /// Reads what [`actor_parts`] gave.
    pub fn from_stored(kind: String, id: Option<Uuid>) -> Self {
        match actor_from_parts(&kind, id) {
            Some(actor) => Self::Known(actor),
            None => Self::Unknown { kind, id },
        }
    }

    /// The kind, and the identifier where it has one.
    pub fn parts(&self) -> (&str, Option<Uuid>) {
        match self {
            Self::Known(actor) => actor_parts(*actor),
            Self::Unknown { kind, id } => (kind, *id),
        }
    }
}

impl EventSubject {
    /// Reads what [`AuditSubject::parts`] gave.
    pub fn from_stored(kind: String, id: Uuid) -> Self {
        match AuditSubject::from_parts(&kind, id) {
            Some(subject) => Self::Known(subject),
            None => Self::Unknown { kind, id },
        }
    }

    /// The kind and the identifier.
    pub fn parts(&self) -> (&str, Uuid) {
        match self {
            Self::Known(subject) => subject.parts(),
            Self::Unknown { kind, id } => (kind, *id),
        }
    }
}

/// What an act was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSubject {
    /// An API key.
    ApiKey(ApiKeyId),
    /// A namespace.
    Namespace(NamespaceId),
    /// An access token.
    AccessToken(AccessTokenId),
    /// A token in somebody's kubeconfig.
    KubeconfigToken(KubeconfigTokenId),
    /// A session.
    Session(SessionId),
    /// An invitation into the account.
    Invitation(InvitationId),
    /// A user.
    User(UserId),
    /// A service user.
    ServiceUser(UserId),
    /// A service user's token.
    ServiceUserToken(ServiceUserTokenId),
    /// The account.
    Account(AccountId),
}

impl AuditSubject {
    /// The words of all kinds.
    pub const KINDS: [&str; 10] = [
        "api_key",
        "namespace",
        "access_token",
        "kubeconfig_token",
        "session",
        "invitation",
        "user",
        "service_user",
        "service_user_token",
        "account",
    ];

    /// Its kind, and its identifier.
    pub fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::ApiKey(id) => ("api_key", id.as_uuid()),
            Self::Namespace(id) => ("namespace", id.as_uuid()),
            Self::AccessToken(id) => ("access_token", id.as_uuid()),
            Self::KubeconfigToken(id) => ("kubeconfig_token", id.as_uuid()),
            Self::Session(id) => ("session", id.as_uuid()),
            Self::Invitation(id) => ("invitation", id.as_uuid()),
            Self::User(id) => ("user", id.as_uuid()),
            Self::ServiceUser(id) => ("service_user", id.as_uuid()),
            Self::ServiceUserToken(id) => ("service_user_token", id.as_uuid()),
            Self::Account(id) => ("account", id.as_uuid()),
        }
    }

    /// Reads what [`Self::parts`] gave.
    pub fn from_parts(kind: &str, id: Uuid) -> Option<Self> {
        match kind {
            "api_key" => Some(Self::ApiKey(ApiKeyId::from_uuid(id))),
            "namespace" => Some(Self::Namespace(NamespaceId::from_uuid(id))),
            "access_token" => Some(Self::AccessToken(AccessTokenId::from_uuid(id))),
            "kubeconfig_token" => Some(Self::KubeconfigToken(KubeconfigTokenId::from_uuid(id))),
            "session" => Some(Self::Session(SessionId::from_uuid(id))),
            "invitation" => Some(Self::Invitation(InvitationId::from_uuid(id))),
            "user" => Some(Self::User(UserId::from_uuid(id))),
            "service_user" => Some(Self::ServiceUser(UserId::from_uuid(id))),
            "service_user_token" => {
                let id = ServiceUserTokenId::from_uuid(id);
                Some(Self::ServiceUserToken(id))
            }
            "account" => Some(Self::Account(AccountId::from_uuid(id))),
            _ => None,
        }
    }
}

/// The words of all kinds of actors.
pub const ACTOR_KINDS: [&str; 6] = [
    "user",
    "service_user",
    "api_key",
    "operator",
    "system",
    "anonymous",
];

/// The kind of an actor, and its identifier where it has one.
pub fn actor_parts(actor: Actor) -> (&'static str, Option<Uuid>) {
    match actor {
        Actor::User(id) => ("user", Some(id.as_uuid())),
        Actor::ServiceUser(id) => ("service_user", Some(id.as_uuid())),
        Actor::ApiKey(id) => ("api_key", Some(id.as_uuid())),
        Actor::Operator => ("operator", None),
        Actor::System => ("system", None),
        Actor::Anonymous => ("anonymous", None),
    }
}

/// Reads what [`actor_parts`] gave.
pub fn actor_from_parts(kind: &str, id: Option<Uuid>) -> Option<Actor> {
    match (kind, id) {
        ("user", Some(id)) => Some(Actor::User(UserId::from_uuid(id))),
        ("service_user", Some(id)) => Some(Actor::ServiceUser(UserId::from_uuid(id))),
        ("api_key", Some(id)) => Some(Actor::ApiKey(ApiKeyId::from_uuid(id))),
        ("operator", None) => Some(Actor::Operator),
        ("system", None) => Some(Actor::System),
        ("anonymous", None) => Some(Actor::Anonymous),
        _ => None,
    }
}

/// What else is remembered of an act, as far as it applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDetails {
    /// The name that somebody gave.
    pub name: Option<String>,
    /// What may be shown of an API key's new secret.
    pub prefix: Option<String>,
    /// Which members of an API key, or limits of an account, were changed.
    pub changed: Option<Vec<String>>,
    /// Until when the old secret of a rotated key works on.
    pub old_secret_ends_at: Option<OffsetDateTime>,
    /// The name of the cluster's `ServiceAccount` that a token is for.
    pub identity: Option<String>,
    /// By what the cluster's own audit log knows a token: its `jti`, or what an access token
    /// is called.
    pub token_id: Option<String>,
    /// When a token ends.
    pub expires_at: Option<OffsetDateTime>,
    /// Whose token it is.
    pub service_user_id: Option<UserId>,
    /// What a user may do in the account.
    pub role: Option<Word<Role>>,
    /// The account's own limit of active API keys.
    pub key_limit: Option<u32>,
    /// The account's own limit of namespaces.
    pub namespace_limit: Option<u32>,
}

/// An event that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEvent {
    /// Who, when and from where.
    pub act: Act,
    /// The accounts whose admins see it.
    pub accounts: Vec<AccountId>,
    /// What was done.
    pub action: AuditAction,
    /// What to.
    pub subject: AuditSubject,
    /// What else.
    pub details: AuditDetails,
}

impl NewAuditEvent {
    /// The event of an act in one account.
    pub fn new(act: &Act, account: AccountId, action: AuditAction, subject: AuditSubject) -> Self {
        Self {
            act: act.clone(),
            accounts: vec![account],
            action,
            subject,
            details: AuditDetails::default(),
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with(mut self, details: AuditDetails) -> Self {
        self.details = details;
        self
    }
}

/// An event as one account's admins see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// The event's identifier; an event of several accounts has the same in each.
    pub id: AuditEventId,
    /// The account.
    pub account_id: AccountId,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// What was done.
    pub action: Word<AuditAction>,
    /// Who did it.
    pub actor: EventActor,
    /// What to.
    pub subject: EventSubject,
    /// From where.
    pub origin: Origin,
    /// What else.
    pub details: AuditDetails,
}

/// Which events are asked for; all where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this action.
    pub action: Option<AuditAction>,
    /// Only those that happened then or later.
    pub since: Option<OffsetDateTime>,
    /// Only those that happened before.
    pub until: Option<OffsetDateTime>,
    /// Only those of this actor: a user, a key.
    pub actor: Option<Uuid>,
    /// Only those about this: a user, a key, a namespace, a session.
    pub subject: Option<Uuid>,
}

/// A store of audit events. Those of an act are stored by the repository method
/// that is the act; this is what is left.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// The account's events, newest first.
    async fn list(
        &self,
        account: AccountId,
        filter: AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEvent>, StoreError>;

    /// Stores events that belong to no transaction, all of them or none. Those
    /// that are stored already stay as they are, so that a batch may be tried
    /// again.
    async fn append(&self, events: &[NewAuditEvent]) -> Result<(), StoreError>;

    /// Removes about `limit` of the oldest events that happened before `before`;
    /// answers how many. Less than `limit`: there are no more.
    async fn delete_before(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        // R5
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::parse(action.as_str()), Some(*action));
        }
        assert_eq!(AuditAction::parse("api_key.eaten"), None);
        let id = Uuid::from_u128(7);
        for kind in AuditSubject::KINDS {
            let subject = AuditSubject::from_parts(kind, id).unwrap();
            assert_eq!(subject.parts(), (kind, id));
        }
        assert_eq!(AuditSubject::from_parts("cat", id), None);
        for kind in ACTOR_KINDS {
            let actor = actor_from_parts(kind, Some(id)).or(actor_from_parts(kind, None));
            assert_eq!(actor_parts(actor.unwrap()).0, kind);
        }
        let cat = EventSubject::from_stored("cat".to_owned(), id);
        assert_eq!(cat.parts(), ("cat", id));
        for (kind, id) in [("cat", Some(id)), ("user", None), ("system", Some(id))] {
            let actor = EventActor::from_stored(kind.to_owned(), id);
            assert_eq!(actor.parts(), (kind, id), "R6");
        }
        let system = EventActor::from_stored("system".to_owned(), None);
        assert_eq!(system, Actor::System);
        assert_eq!(actor_from_parts("user", None), None);
        assert_eq!(actor_from_parts("system", Some(id)), None);
    }
}
