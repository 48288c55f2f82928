#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod backlog;
mod claim;
mod cluster;
mod credential;
mod held;
mod name;
mod namespace;
mod provisioner;
mod repository;

pub use backlog::{Backlog, BacklogSource};
pub use claim::{
    Claim, ClaimHolder, ClaimRepository, ClaimState, ClaimVersion, ClusterClaims, ClusterUid,
    DatabaseIdentity, FoundClaim, KnownClaim, StandingClaim, WriteClaim, judge_claim, may_take,
};
pub use cluster::{
    Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialMint,
    InvalidClusterName,
};
pub use credential::{
    CredentialIdentity, ExecCredential, LocatedIdentity, LocatedObject, MintError, MintedToken,
    PlainClusterToken, TokenLifetime, UnusableToken,
};
pub use held::{
    AdoptNamespace, Adoption, HeldKind, HeldNamespace, HeldNamespaceRepository, WantedOfHeld,
};
pub use name::{InvalidNamespaceName, KubernetesNamespaceName, NamespaceName};
pub use namespace::{IllegalTransition, Namespace, NamespaceStatus, NewNamespace};
pub use provisioner::{LocatedNamespace, NamespaceProvisioner, Removal};
pub use repository::{
    EnsureIdentity, IdentityRepository, IdentityStanding, InsertNamespace, NamespaceRepository,
    RenameNamespace,
};
