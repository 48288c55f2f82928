#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod backlog;
mod cluster;
mod credential;
mod due_work;
mod name;
mod namespace;
mod provisioner;
mod repository;
mod sweep_lease;

pub use backlog::{Backlog, BacklogSource};
pub use cluster::{
    Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialMint,
    InvalidClusterName,
};
pub use credential::{
    CredentialIdentity, ExecCredential, LocatedIdentity, LocatedObject, MintError, MintedToken,
    PlainClusterToken, TokenLifetime, UnusableToken,
};
pub use due_work::{DueWork, Tried};
pub use name::{InvalidNamespaceName, KubernetesNamespaceName, NamespaceName};
pub use namespace::{IllegalTransition, Namespace, NamespaceStatus, NewNamespace};
pub use provisioner::{LocatedNamespace, NamespaceProvisioner, Removal};
pub use repository::{
    EnsureIdentity, IdentityRepository, IdentityStanding, InsertNamespace, NamespaceRepository,
    RenameNamespace,
};
pub use sweep_lease::SweepLeaseRepository;
