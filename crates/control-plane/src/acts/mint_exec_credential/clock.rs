//! How late it is in a mint.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use super::MintExecCredentialError;

/// The whole of it, the store's part before and after included, so that the answer
/// comes within contract X4's four seconds. A mint that is given up leaves its row,
/// by which it ends, or an object that the sweep finds.
const ANSWER_WITHIN: Duration = Duration::from_millis(3_700);

/// The time as a mint goes on. What ended after the mint began has ended: at the
/// time of its beginning it would still count as living.
#[derive(Clone, Copy)]
pub(in crate::acts) struct MintClock {
    pub(super) began: OffsetDateTime,
    started: Instant,
    /// When the request came: from there the answer is due.
    pub(super) came: Instant,
}

impl MintClock {
    /// For a request that came then.
    pub(in crate::acts) fn starting(now: OffsetDateTime, came: Instant) -> Self {
        Self {
            began: now,
            started: Instant::now(),
            came,
        }
    }

    pub(in crate::acts) fn now(self) -> OffsetDateTime {
        self.began + self.started.elapsed()
    }

    /// Gives up when the answer would be late.
    pub(in crate::acts) async fn within<T>(
        self,
        minted: impl Future<Output = Result<T, MintExecCredentialError>>,
    ) -> Result<T, MintExecCredentialError> {
        timeout_at(self.came + ANSWER_WITHIN, minted)
            .await
            .unwrap_or(Err(MintExecCredentialError::TooSlow))
    }
}
