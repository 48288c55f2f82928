#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod parse;

use std::{collections::BTreeSet, fmt};

use remotegpu_primitives::NamespaceId;

pub use parse::{FieldError, MAX_NAMESPACE_IDS, ScopesError, refused_namespaces};

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
    /// What a store holds and [`Scopes::parse`] does not take, as it stands there: a
    /// newer version wrote it. It opens nothing (contract R6).
    Unknown(String),
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
    /// Reads what a store holds: what [`Display`](fmt::Display) gave, perhaps a newer
    /// version's.
    pub fn from_stored(json: String) -> Self {
        Self::parse(&json).unwrap_or(Self::Unknown(json))
    }

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
            Self::Inference | Self::Unknown(_) => false,
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
    /// (contract K1). Of what is not known, what the store holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_json() {
            Ok(json) => json.fmt(f),
            Err(stored) => f.write_str(stored),
        }
    }
}
