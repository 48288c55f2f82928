//! Work that is due.

use crate::ClusterName;

/// Whether a piece of work was taken up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tried {
    /// It is new.
    Never,
    /// It was not finished, or whoever had claimed it has died.
    Before,
}

/// That a cluster, or whatever else work has to be done for, has some to do. What is new
/// and what was tried before are told apart, so that what fails again and again can have
/// places of its own, and keeps nothing new waiting (contract R10).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueWork<Key = ClusterName> {
    /// For what it is due.
    pub key: Key,
    /// Which kind of work.
    pub tried: Tried,
}
