//! Whether this instance is ready, asked of the store by one request at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use remotegpu_primitives::StoreError;
use tokio::sync::Mutex;

/// Whether this instance can serve requests: the database is there, and its
/// migrations are (contract R4).
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks now.
    async fn check(&self) -> Result<Ready, Unready>;
}

/// That requests can be served, and what is to be said all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// What whoever runs the installation should know, in sentences; anybody may
    /// read them.
    pub warnings: Vec<String>,
}

/// Why requests cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the instance is not ready")]
pub struct Unready {
    /// What may be said of it to anybody, in a sentence; nothing where the store
    /// just does not answer.
    pub sentence: Option<String>,
    /// The whole reason.
    #[source]
    pub source: StoreError,
}

/// For how long an answer is good.
const FRESH: Duration = Duration::from_millis(250);

/// The last answer. Anybody may ask `/readyz`, without credentials and as often as
/// they like: however many do, the store is asked a few times a second, and its
/// connections are left to those who have something to do with it.
pub(crate) struct LastReadiness {
    good_for: Duration,
    last: Mutex<Option<(Instant, Answer)>>,
}

type Answer = Result<Ready, Arc<Unready>>;

impl Default for LastReadiness {
    fn default() -> Self {
        Self::good_for(FRESH)
    }
}

impl LastReadiness {
    fn good_for(good_for: Duration) -> Self {
        Self {
            good_for,
            last: Mutex::new(None),
        }
    }

    /// The last answer if it is fresh, else a new one, for which all who come
    /// meanwhile wait together.
    ///
    /// # Errors
    /// What the store said.
    pub(crate) async fn or_ask(&self, readiness: &dyn Readiness) -> Answer {
        // Whoever goes away while it asks leaves the lock to the next one.
        let mut last = self.last.lock().await;
        if let Some((when, answer)) = &*last
            && when.elapsed() < self.good_for
        {
            return answer.clone();
        }
        let answer = readiness.check().await.map_err(Arc::new);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Has the next one who comes ask anew.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    /// Answers when it is let, with a failure the first time.
    struct Slow {
        asked: AtomicUsize,
        may_answer: Semaphore,
    }

    impl Slow {
        fn answering(times: usize) -> Self {
            Self {
                asked: AtomicUsize::new(0),
                may_answer: Semaphore::new(times),
            }
        }
    }

    #[async_trait]
    impl Readiness for Slow {
        async fn check(&self) -> Result<Ready, Unready> {
            let before = self.asked.fetch_add(1, Ordering::SeqCst);
            self.may_answer.acquire().await.unwrap().forget();
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
        let last = LastReadiness::good_for(Duration::from_hours(1));
        let slow = Slow::answering(0);
        assert!(last.or_ask(&slow).now_or_never().is_none());
        // Who went away left nothing that anybody else would wait for.
        let answers = join_all((0..1000).map(|_| last.or_ask(&slow)));
        let let_answer = async {
            while slow.asked.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            slow.may_answer.add_permits(1000);
        };
        let (answers, ()) = tokio::join!(answers, let_answer);
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(slow.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_answer_does_not_stand_for_long() {
        let (last, slow) = (LastReadiness::default(), Slow::answering(2));
        assert!(last.or_ask(&slow).await.is_err());
        tokio::time::sleep(FRESH).await;
        assert!(last.or_ask(&slow).await.is_ok());
    }
}
