//! Passwords are hashed on threads that may block, few at a time, so that
//! signing in never takes the processor from everything else (contract A8).

use std::sync::Arc;

use remotegpu_accounts::{HashedPassword, PlainPassword, UnreadablePasswordHash};
use tokio::sync::Semaphore;

/// Hashes and compares passwords, at most so many at once.
#[derive(Debug, Clone)]
pub struct PasswordWorkers {
    places: Arc<Semaphore>,
}

/// A password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The stored hash is unreadable.
    #[error(transparent)]
    Unreadable(#[from] UnreadablePasswordHash),
    /// The process is going down.
    #[error("password hashing has stopped")]
    Stopped,
}

impl PasswordWorkers {
    /// At most `at_once` hashes at a time, at least one.
    pub fn new(at_once: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }

    /// Hashes a password with a salt that was drawn from a good generator.
    pub async fn hash(
        &self,
        password: PlainPassword,
        salt: [u8; 16],
    ) -> Result<HashedPassword, PasswordError> {
        self.run(move || password.hash_with_salt(salt)).await
    }

    /// Whether the password is the one that was hashed.
    pub async fn matches(
        &self,
        password: PlainPassword,
        stored: HashedPassword,
    ) -> Result<bool, PasswordError> {
        self.run(move || password.matches(&stored)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, UnreadablePasswordHash> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Stopped)?;
        let done = tokio::task::spawn_blocking(move || {
            // The place is held by the thread, not by the request: a client that
            // goes away does not make room for one hash more.
            let _place = place;
            work()
        });
        Ok(done.await.map_err(|_| PasswordError::Stopped)??)
    }
}
