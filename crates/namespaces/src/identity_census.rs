//! How many cluster identities stand on keys.

use async_trait::async_trait;
use remotegpu_primitives::{ApiKeyId, StoreError};
use time::OffsetDateTime;

use crate::ClusterName;

/// A store that counts what ends with keys (contract R7).
#[async_trait]
pub trait IdentityCensus: Send + Sync {
    /// How many cluster identities of these keys live at `now`, in each cluster where
    /// there are any.
    async fn count_living_of(
        &self,
        keys: &[ApiKeyId],
        now: OffsetDateTime,
    ) -> Result<Vec<(ClusterName, u64)>, StoreError>;
}
