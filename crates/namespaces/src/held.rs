//! Namespaces that wait for the operator's word (contract R8): what stands in a
//! cluster under our labels without any row, and what a row says stands there and
//! does not, after a restore.

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, NamespaceId, StoreError};
use time::OffsetDateTime;

use crate::{ClusterName, KubernetesNamespaceName, NamespaceName};

/// A namespace that nothing is done to until the operator says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldNamespace {
    /// The cluster.
    pub cluster: ClusterName,
    /// What the cluster calls it.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// What is wrong with it.
    pub kind: HeldKind,
    /// The very object, where it stands.
    pub uid: Option<String>,
    /// The namespace that its labels name, or its row.
    pub namespace_id: NamespaceId,
    /// The account that its labels name, or its row.
    pub account_id: Option<AccountId>,
    /// When a sweep first saw it.
    pub first_seen_at: OffsetDateTime,
    /// What the operator wants, where they have said so.
    pub wanted: Option<WantedOfHeld>,
}

/// Why a namespace is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldKind {
    /// It stands under our labels, and no row knows it.
    Held,
    /// Its row says that it is active, and it does not stand.
    Missing,
}

impl HeldKind {
    const ALL: [Self; 2] = [Self::Held, Self::Missing];

    /// The word in the store and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Missing => "missing",
        }
    }

    /// The kind with this word.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What the operator wants of a held namespace. To adopt one is no wish but an act: it
/// has a row from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedOfHeld {
    /// That it goes, with all that is in it.
    Delete,
    /// That it is made again.
    Restore,
}

impl WantedOfHeld {
    const ALL: [Self; 2] = [Self::Delete, Self::Restore];

    /// The word in the store and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }

    /// What has this word.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wanted| wanted.as_str() == word)
    }

    /// The kind of namespace that this can be wanted of.
    pub fn of(self) -> HeldKind {
        match self {
            Self::Delete => HeldKind::Held,
            Self::Restore => HeldKind::Missing,
        }
    }
}

/// A held namespace that gets a row.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The cluster.
    pub cluster: ClusterName,
    /// What the cluster calls it.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// The identifier that its label names: files and scopes of yesterday name it.
    pub namespace_id: NamespaceId,
    /// The account that gets it.
    pub account_id: AccountId,
    /// What the account will call it.
    pub name: NamespaceName,
}

/// What came of [`HeldNamespaceRepository::adopt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdoptNamespace {
    /// It is a namespace of the account, which the cluster has yet to relabel.
    Adopted,
    /// It is not held, or not any more.
    NotHeld,
    /// There is no such account.
    AccountUnknown,
    /// The account has a namespace of this name.
    NameTaken,
    /// Its label or its name is that of another namespace, which may have gone.
    IdentifierTaken,
}

/// A store of held namespaces.
#[async_trait]
pub trait HeldNamespaceRepository: Send + Sync {
    /// All of one cluster, or of all, by cluster and name.
    async fn list_held(
        &self,
        cluster: Option<&ClusterName>,
    ) -> Result<Vec<HeldNamespace>, StoreError>;

    /// The one that the cluster calls so.
    async fn find_held(
        &self,
        cluster: &ClusterName,
        name: &KubernetesNamespaceName,
    ) -> Result<Option<HeldNamespace>, StoreError>;

    /// Remembers exactly these of a cluster, as a sweep has found them: what it did not
    /// find is forgotten, and what was known keeps the time when it was first seen and
    /// what the operator wants. What has a row by now is not held.
    async fn note_held(
        &self,
        cluster: &ClusterName,
        found: &[HeldNamespace],
    ) -> Result<(), StoreError>;

    /// Writes down what the operator wants. `false` where no namespace of the kind is
    /// known there, or another wish stands.
    async fn want_of_held(
        &self,
        held: &HeldNamespace,
        wanted: WantedOfHeld,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Those of which the operator wants something.
    async fn list_wanted(&self) -> Result<Vec<HeldNamespace>, StoreError>;

    /// What was wanted is done.
    async fn settle_held(&self, held: &HeldNamespace) -> Result<(), StoreError>;

    /// Gives a held namespace a row, whatever the account's limit is.
    async fn adopt(&self, adoption: &Adoption, act: &Act) -> Result<AdoptNamespace, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for kind in HeldKind::ALL {
            assert_eq!(HeldKind::from_stored(kind.as_str()), Some(kind));
        }
        for wanted in WantedOfHeld::ALL {
            assert_eq!(WantedOfHeld::from_stored(wanted.as_str()), Some(wanted));
        }
        assert_eq!(HeldKind::from_stored("odd"), None);
        assert_eq!(WantedOfHeld::from_stored("odd"), None);
    }
}
