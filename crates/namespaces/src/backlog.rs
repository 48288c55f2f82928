//! How much work on the clusters waits to be done.

use async_trait::async_trait;
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{ClusterName, NamespaceStatus};

/// The work that all instances together have before them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many namespaces a cluster has to make or to remove, by status; those
    /// without any are not named.
    pub namespaces: Vec<(NamespaceStatus, u64)>,
    /// How many identities have ended and still stand in a cluster.
    pub ended_identities: u64,
    /// When the first of them ended whose service account still stands, so that it may
    /// still open something.
    pub oldest_end: Option<OffsetDateTime>,
    /// How many namespaces are held in each cluster, because no row knows them;
    /// clusters without any are not named (contract R8).
    pub held: Vec<(ClusterName, u64)>,
}

/// A store that knows how much work waits.
#[async_trait]
pub trait BacklogSource: Send + Sync {
    /// Counts it, as of `now`.
    async fn backlog(&self, now: OffsetDateTime) -> Result<Backlog, StoreError>;
}
