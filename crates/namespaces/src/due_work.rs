//! Work that a cluster has to do.

use crate::ClusterName;

/// Whether a piece of work was taken up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tried {
    /// It is new.
    Never,
    /// It was not finished, or whoever had claimed it has died.
    Before,
}

/// That a cluster has work to do. What is new and what was tried before are told
/// apart, so that what fails again and again can have places of its own, and keeps
/// nothing new waiting (contract R10).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueWork {
    /// The cluster.
    pub cluster: ClusterName,
    /// Which kind of work.
    pub tried: Tried,
}
