//! Whether the instance is ready, as its database says.

use std::time::Duration;

use async_trait::async_trait;
use remotegpu_edge::{Readiness, Ready, Unready};
use remotegpu_primitives::StoreError;
use remotegpu_storage::{Database, OpenError};

/// An instance is ready when its store is (contract R4, R6).
pub struct DatabaseReadiness(pub Database);

/// Whoever asks for readiness gives up sooner than somebody who wants an answer.
const READINESS_TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl Readiness for DatabaseReadiness {
    async fn check(&self) -> Result<Ready, Unready> {
        match tokio::time::timeout(READINESS_TIMEOUT, self.0.check()).await {
            Ok(Ok(_)) => Ok(Ready::default()),
            Ok(Err(error)) => Err(unready(error)),
            Err(late) => Err(Unready {
                sentence: None,
                source: StoreError::Unavailable(Some(Box::new(late))),
            }),
        }
    }
}

/// What is told of a schema that is another version's is for everybody; what else
/// keeps the database from answering is for the log alone.
fn unready(error: OpenError) -> Unready {
    let sentence = matches!(error, OpenError::TooOld { .. } | OpenError::Older { .. });
    Unready {
        sentence: sentence.then(|| error.to_string()),
        source: match error {
            OpenError::Store(error) => error,
            error => StoreError::Unavailable(Some(Box::new(error))),
        },
    }
}
