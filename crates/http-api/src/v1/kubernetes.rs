//! Clusters and what is in them.

pub(crate) mod clusters;
pub(crate) mod kubeconfig;
mod kubeconfig_file;
pub(crate) mod namespaces;
