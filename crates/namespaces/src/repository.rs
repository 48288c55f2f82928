//! What a store of namespaces and cluster identities does. Each method is
//! atomic: it happened whole, or not at all, and so did the audit event of an act
//! (contract R5).

use async_trait::async_trait;
use remotegpu_primitives::{
    AccountId, Act, IdentityId, NamespaceId, Page, PageRequest, StoreError,
};
use time::OffsetDateTime;

use crate::{
    ClusterName, CredentialIdentity, DueWork, Namespace, NamespaceName, NewNamespace, Tried,
};

/// A store of namespaces. Other accounts' namespaces, and those that the cluster
/// has let go, do not exist to it; their cluster names stay taken.
#[async_trait]
pub trait NamespaceRepository: Send + Sync {
    /// The account's namespace with this identifier.
    async fn find(
        &self,
        account: AccountId,
        id: NamespaceId,
    ) -> Result<Option<Namespace>, StoreError>;

    /// The account's namespaces, newest first.
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<Namespace>, StoreError>;

    /// Up to `limit` namespaces of all accounts in this cluster, whatever their
    /// status, in the order of their identifiers, those after `after`.
    async fn list_in(
        &self,
        cluster: &ClusterName,
        after: Option<NamespaceId>,
        limit: u32,
    ) -> Result<Vec<Namespace>, StoreError>;

    /// Which of these there are, whosever they are and in whichever cluster.
    async fn find_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError>;

    /// Which of these there were, until their cluster let go of them.
    async fn removed_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError>;

    /// Stores a namespace as `provisioning`, unless the account has as many as
    /// it may have: its own limit, or else `default_limit` (contract N3).
    async fn insert(
        &self,
        namespace: &NewNamespace,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertNamespace, StoreError>;

    /// Gives an active namespace another name; what the cluster calls it stays
    /// (contract N4).
    async fn rename(
        &self,
        account: AccountId,
        id: NamespaceId,
        name: &NamespaceName,
        act: &Act,
    ) -> Result<RenameNamespace, StoreError>;

    /// Lets a namespace go, in every status, again and again; its cluster
    /// identities end in the same transaction (contract N5, N6). `None` where
    /// there is no such namespace.
    async fn mark_deleting(
        &self,
        account: AccountId,
        id: NamespaceId,
        act: &Act,
    ) -> Result<Option<Namespace>, StoreError>;

    /// Which clusters have work to do on namespaces, of which kind, each once.
    async fn due_work(&self, now: OffsetDateTime) -> Result<Vec<DueWork>, StoreError>;

    /// Claims up to `limit` namespaces on which this cluster has work to do, of this
    /// kind or of both, until `until`: nobody else gets them before. What a dead
    /// instance claimed comes back when its time is over.
    async fn claim(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<Namespace>, StoreError>;

    /// The cluster has the namespace. `false` when it is being deleted by now.
    async fn mark_active(&self, id: NamespaceId, now: OffsetDateTime) -> Result<bool, StoreError>;

    /// The cluster refused the namespace; the work is due again at `retry_at`.
    async fn mark_failed(
        &self,
        id: NamespaceId,
        message: &str,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// The work is not done yet, and due again at `retry_at`; the status stays.
    async fn postpone(
        &self,
        id: NamespaceId,
        message: Option<&str>,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// The cluster has let go of a namespace that was being deleted, and with it of
    /// the bindings in it: identities of which nothing else was left go too.
    async fn remove(&self, id: NamespaceId, now: OffsetDateTime) -> Result<(), StoreError>;
}

/// What came of [`NamespaceRepository::insert`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertNamespace {
    /// It is stored.
    Inserted(Namespace),
    /// The account has a namespace of this name.
    NameTaken,
    /// The account has as many namespaces as it may have.
    LimitReached,
}

/// What came of [`NamespaceRepository::rename`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenameNamespace {
    /// It has the new name.
    Renamed(Namespace),
    /// The account has no such namespace, or it is being deleted.
    NotFound,
    /// It is not active yet.
    NotReady,
    /// Another namespace of the account has this name.
    NameTaken,
}

/// A store of cluster identities. A row stands before the cluster knows the
/// identity, and goes after the cluster has forgotten it, so that a crash in
/// between leaves nothing that nobody remembers.
#[async_trait]
pub trait IdentityRepository: Send + Sync {
    /// The identity of `wanted`'s subject in `wanted`'s namespace: the stored one,
    /// or else `wanted`, stored now if subject, account and namespace allow it at
    /// this moment. Whatever ends them waits for this, or this for it.
    async fn ensure(
        &self,
        wanted: &CredentialIdentity,
        now: OffsetDateTime,
    ) -> Result<EnsureIdentity, StoreError>;

    /// The identity's binding was seen to work.
    async fn mark_bound(&self, id: IdentityId) -> Result<(), StoreError>;

    /// Ends an identity now, if it does not end earlier.
    async fn end(&self, id: IdentityId, now: OffsetDateTime) -> Result<(), StoreError>;

    /// Which clusters hold identities that have ended, of which kind, each once.
    async fn due_ends(&self, now: OffsetDateTime) -> Result<Vec<DueWork>, StoreError>;

    /// Claims up to `limit` identities of this cluster that have ended, of this kind
    /// or of both, until `until`. Of those that were tried before the one that has been
    /// due for longest comes first, so that each has its turn however many fail; what
    /// ended lately is due again sooner, and so is tried more often.
    async fn claim_ended(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<CredentialIdentity>, StoreError>;

    /// Whether the identity is stored and has ended, read anew (contract X10).
    async fn has_ended(&self, id: IdentityId, now: OffsetDateTime) -> Result<bool, StoreError>;

    /// Whether the identity is stored and has not ended, read anew (contract X10).
    /// Whatever takes from a subject, an account or a namespace what the identity
    /// stands on ends the identity in the same transaction, so that this one
    /// row tells of all of them.
    async fn standing(
        &self,
        id: IdentityId,
        now: OffsetDateTime,
    ) -> Result<IdentityStanding, StoreError>;

    /// Notes now, before the answer, that a token was minted for the identity, unless
    /// it has ended: then `false`, and nothing is noted (contract X12).
    async fn note_mint(&self, id: IdentityId, now: OffsetDateTime) -> Result<bool, StoreError>;

    /// Notes when tokens were last minted for identities, unless less than an hour
    /// has passed since the time that is stored; so no time is ever set back.
    async fn record_mints(&self, mints: &[(IdentityId, OffsetDateTime)]) -> Result<(), StoreError>;

    /// Ends up to `limit` identities for which nothing was minted since `before`; no mint
    /// of one of them can be noted meanwhile (contract X12). Answers how many.
    async fn end_idle(
        &self,
        before: OffsetDateTime,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError>;

    /// The cluster has forgotten the identity.
    async fn remove(&self, id: IdentityId) -> Result<(), StoreError>;

    /// The cluster has removed the identity's service account, so that its tokens open
    /// nothing, and kept its binding (contract X9).
    async fn mark_powerless(&self, id: IdentityId, now: OffsetDateTime) -> Result<(), StoreError>;

    /// The cluster did not forget the identity; the work is due again at
    /// `retry_at`.
    async fn postpone(&self, id: IdentityId, retry_at: OffsetDateTime) -> Result<(), StoreError>;

    /// How many identities a namespace still has that may open it. Those of which
    /// nothing but a binding is left do not count: it goes with the namespace.
    async fn count_in(&self, namespace: NamespaceId) -> Result<u64, StoreError>;

    /// Which of these are stored.
    async fn stored_among(&self, ids: &[IdentityId])
    -> Result<Vec<CredentialIdentity>, StoreError>;

    /// The identifiers of those of these that are stored: what a sweep asks of every
    /// object that it finds.
    async fn known_among(&self, ids: &[IdentityId]) -> Result<Vec<IdentityId>, StoreError>;

    /// Looks at the next slice of all identities, and ends those of it that nothing
    /// living justifies; answers how many (contract X10). Acts end what loses its
    /// reason in their own transactions: this finds what they cannot, such as what
    /// somebody wrote by hand. So it may take its time: all instances together take
    /// a slice every 40 seconds, and come round in about an hour; who asks before
    /// that looks at nothing. An identity whose reasons cannot be read is told of
    /// and ended, and keeps none of the others from being looked at.
    async fn end_unjustified(&self, now: OffsetDateTime) -> Result<u64, StoreError>;
}

/// What [`IdentityRepository::standing`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityStanding {
    /// It is stored, and ends then, if ever.
    Living {
        /// When its subject ends.
        ends_at: Option<OffsetDateTime>,
        /// When a token was last minted for it, or else when it was made: as it is
        /// written down, which is up to an hour late (contract X12).
        last_minted_at: OffsetDateTime,
    },
    /// It has ended, or is not stored.
    Ended,
}

/// What came of [`IdentityRepository::ensure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnsureIdentity {
    /// It is stored and living.
    Ready(CredentialIdentity),
    /// The subject's identity in this namespace has ended, and the cluster has not
    /// forgotten it yet.
    Ending,
    /// Subject, account or namespace do not allow it (any more).
    Refused,
}
