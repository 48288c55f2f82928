//! Whether this instance is ready, asked of the store by one request at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{Readiness, Ready, Unready};

/// For how long an answer is good.
const FRESH: Duration = Duration::from_millis(250);

/// The last answer. Anybody may ask `/readyz`, without credentials and as often as
/// they like: however many do, the store is asked a few times a second, and its
/// connections are left to those who have something to do with it.
#[derive(Default)]
pub(crate) struct LastReadiness(Mutex<Option<(Instant, Answer)>>);

type Answer = Result<Ready, Arc<Unready>>;

impl LastReadiness {
    /// The last answer if it is fresh, else a new one, for which all who come
    /// meanwhile wait together.
    ///
    /// # Errors
    /// What the store said.
    pub(crate) async fn or_ask(&self, readiness: &dyn Readiness) -> Answer {
        // Whoever goes away while it asks leaves the lock to the next one.
        let mut last = self.0.lock().await;
        if let Some((when, answer)) = &*last
            && when.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = readiness.check().await.map_err(Arc::new);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Has the next one who comes ask anew.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures_util::future::join_all;
    use remotegpu_primitives::StoreError;

    use super::*;

    /// Answers slowly, with a failure the first time.
    #[derive(Default)]
    struct Slow(AtomicUsize);

    #[async_trait]
    impl Readiness for Slow {
        async fn check(&self) -> Result<Ready, Unready> {
            let before = self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            if before == 0 {
                return Err(Unready {
                    sentence: None,
                    source: StoreError::unavailable("not yet"),
                });
            }
            Ok(Ready::default())
        }
    }

    #[tokio::test]
    async fn a_thousand_who_ask_at_once_ask_the_store_once() {
        // R4
        let (last, slow) = (LastReadiness::default(), Slow::default());
        let gone = tokio::time::timeout(Duration::from_millis(5), last.or_ask(&slow)).await;
        assert!(gone.is_err());
        let answers = join_all((0..1000).map(|_| last.or_ask(&slow))).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(slow.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_answer_does_not_stand_for_long() {
        let (last, slow) = (LastReadiness::default(), Slow::default());
        assert!(last.or_ask(&slow).await.is_err());
        tokio::time::sleep(FRESH).await;
        assert!(last.or_ask(&slow).await.is_ok());
    }
}
