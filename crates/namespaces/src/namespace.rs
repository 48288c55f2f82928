//! A namespace and its life (contract N3 to N6).

use remotegpu_primitives::{AccountId, NamespaceId, Vocabulary, Word};
use time::OffsetDateTime;

use crate::{ClusterName, KubernetesNamespaceName, NamespaceName};

/// A namespace as its account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The namespace's identifier.
    pub id: NamespaceId,
    /// The account that owns it.
    pub account_id: AccountId,
    /// What the account calls it.
    pub name: NamespaceName,
    /// What its cluster calls it.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// The cluster it stands in.
    pub cluster: ClusterName,
    /// Where it is in its life.
    pub status: Word<NamespaceStatus>,
    /// What the account should know about the status, in a sentence.
    pub message: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// Where a namespace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceStatus {
    /// The cluster does not have it whole yet.
    Provisioning,
    /// It can be used.
    Active,
    /// The cluster refused it; work on it goes on, more slowly.
    Failed,
    /// It goes; nothing brings it back.
    Deleting,
}

/// A step that no namespace takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a namespace that is {} does not become {}", .from.as_str(), .to.as_str())]
pub struct IllegalTransition {
    /// Where it is.
    pub from: NamespaceStatus,
    /// Where it was to go.
    pub to: NamespaceStatus,
}

impl NamespaceStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [
        Self::Provisioning,
        Self::Active,
        Self::Failed,
        Self::Deleting,
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }

    /// The status with this word.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Takes a step, if there is such a step: what provisions becomes active or
    /// fails, what failed may still become active, and all may be deleted.
    pub fn to(self, to: Self) -> Result<Self, IllegalTransition> {
        let legal = match self {
            Self::Provisioning | Self::Failed => to != Self::Provisioning,
            Self::Active | Self::Deleting => to == Self::Deleting,
        };
        if legal {
            Ok(to)
        } else {
            Err(IllegalTransition { from: self, to })
        }
    }

    /// The statuses from which this one can be reached.
    pub fn origins(self) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |from| from.to(self).is_ok())
    }
}

impl Vocabulary for NamespaceStatus {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::from_stored(word)
    }
}

/// A namespace that is about to be stored, as `provisioning`.
#[derive(Debug, Clone)]
pub struct NewNamespace {
    /// The namespace's identifier.
    pub id: NamespaceId,
    /// The account that will own it.
    pub account_id: AccountId,
    /// What the account calls it.
    pub name: NamespaceName,
    /// What its cluster will call it.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// The cluster it will stand in.
    pub cluster: ClusterName,
    /// When it is made.
    pub created_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_leads_back() {
        use NamespaceStatus::{Active, Deleting, Failed, Provisioning};
        let legal = [
            (Provisioning, Active),
            (Provisioning, Failed),
            (Provisioning, Deleting),
            (Failed, Active),
            (Failed, Failed),
            (Failed, Deleting),
            (Active, Deleting),
            (Deleting, Deleting),
        ];
        for from in NamespaceStatus::ALL {
            for to in NamespaceStatus::ALL {
                assert_eq!(
                    from.to(to).is_ok(),
                    legal.contains(&(from, to)),
                    "{from:?} {to:?}"
                );
            }
            assert_eq!(NamespaceStatus::from_stored(from.as_str()), Some(from));
        }
        assert_eq!(
            Deleting.to(Active).unwrap_err().to_string(),
            "a namespace that is deleting does not become active"
        );
    }
}
