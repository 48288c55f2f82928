//! Clusters, and what is asked of one (contract N0, N5, X9).

use std::{error::Error, fmt};

use async_trait::async_trait;
use time::Duration;

use crate::{
    ClaimState, CredentialIdentity, LocatedIdentity, MintError, MintedToken, PlainClusterToken,
    check_dns_label,
};

/// The name of a cluster: configuration gives it, and the API uses it where it
/// says `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(String);

/// Why a cluster's name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's name must be a lowercase DNS label of at most 40 characters")]
pub struct InvalidClusterName;

impl ClusterName {
    /// Takes a lowercase DNS label of at most 40 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidClusterName> {
        check_dns_label(text, 40).map_err(|_| InvalidClusterName)?;
        Ok(Self(text.to_owned()))
    }

    /// The name as it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cluster as customers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// What people call it.
    pub title: String,
    /// The URL of its API server, as kubeconfigs name it.
    pub server: String,
    /// The CA that signed the API server's certificate, as PEM; the system's
    /// own where absent.
    pub certificate_authority_pem: Option<String>,
}

/// What is known about a cluster just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterStatus {
    /// Nobody has asked it yet.
    Unknown,
    /// It answers; its version where it told it.
    Available(Option<String>),
    /// It does not answer.
    Unavailable,
}

impl ClusterStatus {
    /// The word on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Available(_) => "available",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The clusters of this installation, the default one first.
#[async_trait]
pub trait ClusterDirectory: Send + Sync {
    /// All of them, in the order of the configuration.
    fn list(&self) -> Vec<Cluster>;

    /// The one with this name.
    fn find(&self, name: &ClusterName) -> Option<Cluster>;

    /// What its last probe has shown, without asking it (contract R10).
    fn status(&self, name: &ClusterName) -> ClusterStatus;

    /// Whether it is down, and so is not asked: nobody waits for it in vain.
    fn is_given_up(&self, name: &ClusterName) -> bool;

    /// Whether this database acts there (contract R9). A directory that watches no
    /// claims lets it.
    fn claim(&self, _name: &ClusterName) -> ClaimState {
        ClaimState::Held
    }
}

/// A cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It is down: nothing else that it is asked would come about either
    /// (contract R10).
    #[error("the cluster is unavailable")]
    Unavailable(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// It is up, and this one request failed: without an answer in time, with a
    /// server's error, or with an answer that is not usable. That is a matter of
    /// the object that was asked for, and of no other.
    #[error("the cluster did not do it")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// It refused: a right is missing, or a name is taken by what is not ours.
    #[error("the cluster refused: {reason}")]
    Refused {
        /// Why, in words that may be shown to the account.
        reason: String,
    },
    /// It answers, and what was asked for has not come about yet.
    #[error("the cluster has not finished: {what}")]
    Unfinished {
        /// What is missing, in words that may be shown to the account.
        what: &'static str,
    },
    /// An identity has lost its service account, and so opens nothing any more;
    /// its binding could not be removed, and has to be tried again (contract X9).
    #[error("the service account is removed, and its binding is left")]
    BindingLeft(#[source] Box<ClusterError>),
    /// The configuration names no such cluster (any more).
    #[error("the cluster {0} is not configured")]
    NotConfigured(ClusterName),
}

/// Gives key secrets their cluster identities, and ends them.
#[async_trait]
pub trait CredentialMint: Send + Sync {
    /// Makes the identity and its binding. "Already exists" is success only
    /// where it carries our labels.
    async fn make(&self, identity: &CredentialIdentity) -> Result<(), ClusterError>;

    /// Asks the cluster for a token for the identity.
    async fn mint(
        &self,
        identity: &CredentialIdentity,
        lifetime: Duration,
    ) -> Result<MintedToken, MintError>;

    /// Whether the token opens the identity's namespace already, asked with the
    /// token itself.
    async fn opens(
        &self,
        identity: &CredentialIdentity,
        token: &PlainClusterToken,
    ) -> Result<bool, ClusterError>;

    /// Reads which objects the identity is made of today. One that cannot be read
    /// does not hide the other: it is told as what stands in the way.
    async fn locate(&self, identity: &CredentialIdentity) -> Result<LocatedIdentity, ClusterError>;

    /// Ends the identity: the binding first, then the service account, each only
    /// while it is the very object that was located. A binding that cannot be removed
    /// does not keep the service account: then the error is
    /// [`ClusterError::BindingLeft`] (contract X9). An error too, when all else is done,
    /// where something stands in the way ([`LocatedIdentity::binding_obstacle`],
    /// [`LocatedIdentity::account_obstacle`]).
    async fn remove(&self, located: &LocatedIdentity) -> Result<(), ClusterError>;

    /// A page of the objects of one kind that the cluster holds under our labels:
    /// the first one, or the one at `place`. However many there are, it takes no more
    /// memory. Each page has a bound of its own; all of them together have none, but
    /// each begins after the end of the one before.
    async fn list(
        &self,
        cluster: &ClusterName,
        kind: IdentityObjects,
        place: Option<&ListPlace>,
    ) -> Result<IdentityPage, ClusterError>;
}

/// Which of the objects that identities are made of are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityObjects {
    /// The service accounts.
    ServiceAccounts,
    /// The bindings in tenants' namespaces.
    Bindings,
}

/// Some of the objects that a cluster holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPage {
    /// One object each, so that the other one of each is absent.
    pub found: Vec<LocatedIdentity>,
    /// Where the list goes on, unless this was the last page.
    pub next: Option<ListPlace>,
}

/// Where a list goes on, in words that only the cluster's adapter reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlace(String);

impl ListPlace {
    /// Takes the adapter's words.
    pub fn new(words: String) -> Self {
        Self(words)
    }

    /// The words again.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
