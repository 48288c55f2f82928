//! The cluster traits over kube-rs.
