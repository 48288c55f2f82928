#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod parse;

use std::{collections::BTreeSet, fmt};

use remotegpu_primitives::NamespaceId;

pub use parse::{FieldError, MAX_NAMESPACE_IDS, ScopesError, field_of_namespace};

/// What an API key may do, in canonical form: one mode, identifiers sorted
/// (contract K1, K9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// Inference and every namespace of the account.
    All,
    /// Inference only.
    Inference,
    /// Kubernetes credentials only.
    KubernetesExec(NamespaceAccess),
}

/// Which namespaces a key may get Kubernetes credentials for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceAccess {
    /// Every namespace of the account, those made later included.
    All,
    /// These and no others; never empty where it came from a payload.
    Only(BTreeSet<NamespaceId>),
}

impl Scopes {
    /// Whether the inference routes open (contract I1).
    pub fn allow_inference(&self) -> bool {
        matches!(self, Self::All | Self::Inference)
    }

    /// Whether Kubernetes credentials for this namespace of the key's own
    /// account are allowed (contract X11).
    pub fn allow_kubernetes_exec(&self, namespace: NamespaceId) -> bool {
        match self {
            Self::All | Self::KubernetesExec(NamespaceAccess::All) => true,
            Self::KubernetesExec(NamespaceAccess::Only(ids)) => ids.contains(&namespace),
            Self::Inference => false,
        }
    }

    /// The namespaces named one by one; empty for the other modes.
    pub fn namespace_ids(&self) -> impl Iterator<Item = NamespaceId> + '_ {
        let ids = match self {
            Self::KubernetesExec(NamespaceAccess::Only(ids)) => Some(ids),
            _ => None,
        };
        ids.into_iter().flatten().copied()
    }
}

impl fmt::Display for Scopes {
    /// The canonical JSON: one member, never `false`, identifiers sorted
    /// (contract K1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}
