//! Clusters and what is in them.

pub(crate) mod clusters;
pub(crate) mod namespaces;
