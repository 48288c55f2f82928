//! An instance learns what others have changed (contract K13).

use std::time::Duration;

use remotegpu_keys::{KeyChange, KeyChangeFeed, KeyNews};
use remotegpu_primitives::StoreError;

use crate::KeyCache;

/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_millis(250);

/// Keeps the cache right, until it is dropped: notes what has changed, and says
/// for how long the cache may be trusted. While changes cannot be heard of, it
/// is not.
pub async fn follow_key_changes(feed: &dyn KeyChangeFeed, cache: &KeyCache) {
    let mut told = false;
    loop {
        let Err(error) = listen(feed, cache, &mut told).await;
        cache.distrust();
        // Once for each loss: while the store is down this happens all the time.
        if told {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "changes of keys cannot be heard of; the store is asked for every key"
            );
        }
        told = false;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(
    feed: &dyn KeyChangeFeed,
    cache: &KeyCache,
    told: &mut bool,
) -> Result<std::convert::Infallible, StoreError> {
    let mut subscription = feed.subscribe().await?;
    // What changed while nobody listened.
    cache.note(KeyChange::Everything);
    loop {
        match subscription.next().await? {
            KeyNews::Changed(change) => cache.note(change),
            KeyNews::UpTo(moment) => {
                *told = true;
                cache.trust(moment);
            }
        }
    }
}
