//! The cluster traits over kube-rs.
//!
//! [`KubeClusters`] implements the four ports of `remotegpu-namespaces` for all
//! configured clusters: `ClusterDirectory`, `NamespaceProvisioner`, `CredentialMint`
//! and `ClusterClaims`. Requests are bounded in time and size, one probe alone says
//! whether a cluster is up, and no part of an answer that could hold a token
//! reaches a log or an error.
//!
//! What a cluster needs beforehand is [`prerequisites`]: an operator applies it
//! with the cluster's own tools, and the embedded development cluster gets it by
//! [`apply_prerequisites`].
#![deny(missing_docs)]

mod account_bindings;
mod baseline;
mod baseline_objects;
mod baseline_words;
mod claim;
mod cluster;
mod connection;
mod control_plane;
mod credential;
mod directory;
mod foreign_text;
mod guards;
mod health;
mod identity_objects;
mod identity_pages;
mod in_cluster;
mod inspection;
mod labels;
mod listing;
mod manifest;
mod marked_files;
mod mint;
mod namespace_deletion;
mod placement;
mod prerequisites;
mod provisioner;
mod request;
mod roles;
mod survey;
mod token_answer;
mod token_file;
mod transport;
mod usage;
mod webhook_config;

pub use baseline::{InvalidBaseline, PodSecurity, TenantBaseline};
pub use connection::{ClusterConnection, ConnectError};
pub use control_plane::{control_plane_connection, control_plane_kubeconfig};
pub use directory::{KubeClusters, Reopened};
pub use in_cluster::in_cluster_kubeconfig;
pub use inspection::{Finding, Verdict};
pub use manifest::{ManifestError, manifest};
pub use prerequisites::{apply_prerequisites, prerequisites};
pub use webhook_config::{TokenWebhook, token_webhook_config};
