#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod backlog;
mod cluster;
mod credential;
mod name;
mod namespace;
mod provisioner;
mod repository;

pub use backlog::{Backlog, BacklogSource};
pub use cluster::{
    Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialMint,
    IdentityObjects, IdentityPage, InvalidClusterName, ListPlace,
};
pub use credential::{
    CredentialIdentity, ExecCredential, LocatedIdentity, LocatedObject, MintError, MintedToken,
    PlainClusterToken, TokenLifetime, UnusableToken,
};
pub use name::{InvalidNamespaceName, KubernetesNamespaceName, NamespaceName};
pub use namespace::{IllegalTransition, Namespace, NamespaceStatus, NewNamespace};
pub use provisioner::{LocatedNamespace, NamespaceProvisioner, Removal};
pub use repository::{
    EnsureIdentity, IdentityRepository, IdentityStanding, InsertNamespace, NamespaceRepository,
    RenameNamespace,
};
