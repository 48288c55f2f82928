#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod backlog;
mod claim;
mod cluster;
mod credential;
mod dns_label;
mod due_work;
mod held;
mod identity_census;
mod kubeconfig_token;
mod name;
mod namespace;
mod provisioner;
mod repository;
mod sweep_lease;
mod usage;
mod webhook_credential;

pub use backlog::{Backlog, BacklogSource};
pub use claim::{
    Claim, ClaimHolder, ClaimRepository, ClaimState, ClaimVersion, ClusterClaims, ClusterUid,
    DatabaseIdentity, FoundClaim, KnownClaim, StandingClaim, WriteClaim, judge_claim, may_take,
};
pub use cluster::{
    Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialMint,
    IdentityObjects, IdentityPage, InvalidClusterName, ListPlace,
};
pub use credential::{
    ClusterAccess, CredentialIdentity, ExecCredential, IdentitySubject, LocatedIdentity,
    LocatedObject, MintError, MintedToken, PlainClusterToken, TokenLifetime, UnusableToken,
};
pub use dns_label::{InvalidDnsLabel, check_dns_label};
pub use due_work::{DueWork, Tried};
pub use held::{
    AdoptNamespace, Adoption, HeldKind, HeldNamespace, HeldNamespaceRepository, WantedOfHeld,
};
pub use identity_census::IdentityCensus;
pub use kubeconfig_token::{
    InsertKubeconfigToken, IssuedToken, KubeconfigToken, KubeconfigTokenRepository,
    NewKubeconfigToken, TokensOf,
};
pub use name::{InvalidNamespaceName, KubernetesNamespaceName, NamespaceName};
pub use namespace::{IllegalTransition, Namespace, NamespaceStatus, NewNamespace};
pub use provisioner::{LocatedNamespace, NamespaceProvisioner, Removal};
pub use repository::{
    EnsureIdentity, IdentityRepository, IdentityStanding, InsertNamespace, NamespaceRepository,
    RenameNamespace,
};
pub use sweep_lease::SweepLeaseRepository;
pub use usage::{QuotaUse, UsageReader};
pub use webhook_credential::{CredentialGeneration, WebhookCredentialRepository, WebhookKey};
