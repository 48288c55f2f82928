//! Passwords are hashed on threads of their own, few at a time and behind a short
//! line, so that signing in never takes the processor from everything else
//! (contract A8).

use std::{fmt, io, sync::Arc, time::Duration};

use remotegpu_accounts::{ClientAddress, HashedPassword, PlainPassword, UnreadablePasswordHash};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

use crate::{
    Overloaded, QueuedLimit,
    machinery::fair_limit::{FairLimit, FairTurn, Room},
};

/// The length of the line is what bounds the wait; this is for a line that does not
/// move. On a machine that is merely busy, who has waited for long had better wait
/// for a little longer: to be refused late is the worst of both.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How many may do the work around a hash for each thread that hashes: one hashes
/// while another asks the database.
const AT_WORK_PER_THREAD: usize = 2;
/// How long a thread outlives its last hash: for ever, as far as a server goes. The C
/// library's allocator keeps some 60 MB of freed hash memory for each thread that ever
/// hashed; threads that came and went would leave that behind again and again.
const KEPT_FOR: Duration = Duration::from_hours(24 * 365);
/// By how much hashing cedes to the process's other threads. With 5 it has a third of
/// their weight where they all want the same processor, and all of one that is idle.
/// It is a judgement, not an optimum that was found: a higher number favours cheap
/// requests, a lower one sign-ins that come while the processors are busy.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Hashes and compares passwords. Clones share the threads and the line.
#[derive(Debug, Clone)]
pub struct PasswordWorkers {
    limit: FairLimit<ClientAddress>,
    threads: Arc<Threads>,
}

/// The turn of one who works with a password.
#[derive(Debug)]
pub struct PasswordTurn {
    turn: Arc<FairTurn<ClientAddress>>,
    threads: Handle,
}

/// A password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The stored hash is unreadable.
    #[error(transparent)]
    Unreadable(#[from] UnreadablePasswordHash),
    /// Too many passwords are being hashed and compared already.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The process is going down.
    #[error("password hashing has stopped")]
    Stopped,
}

impl PasswordWorkers {
    /// Hashes on `threads` threads, at least one, with a line of `waiting` before
    /// them. One client address has half of the places at work and half of those in
    /// line, rounded up: attempts are throttled in the database, which is asked in the
    /// turn, and an address that is throttled already could else fill the line and
    /// so lock everybody else out.
    ///
    /// # Errors
    /// The operating system refuses what the threads need.
    pub fn new(threads: usize, waiting: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let all = Room {
            at_once: threads.saturating_mul(AT_WORK_PER_THREAD),
            waiting,
        };
        let part = Room {
            at_once: threads,
            waiting: waiting.div_ceil(2),
        };
        Ok(Self {
            limit: FairLimit::new(all, part, LONGEST_WAIT),
            threads: Arc::new(Threads::new(threads)?),
        })
    }

    /// Waits for a turn of somebody at that address. Everything that is done for the
    /// sake of a password, the database's part included, is done in it: what is
    /// refused here has cost next to nothing.
    ///
    /// # Errors
    /// [`Overloaded`] when the line, or the address's part of it, is full, or when
    /// it does not move.
    pub async fn enter_from(&self, address: ClientAddress) -> Result<PasswordTurn, Overloaded> {
        self.limit.enter(address).await.map(|turn| self.begin(turn))
    }

    /// The same for the operator, who works on the server itself and comes from no
    /// address.
    ///
    /// # Errors
    /// [`Overloaded`] when the line is full or does not move.
    pub async fn enter(&self) -> Result<PasswordTurn, Overloaded> {
        let turn = self.limit.enter_for_nobody().await?;
        Ok(self.begin(turn))
    }

    fn begin(&self, turn: FairTurn<ClientAddress>) -> PasswordTurn {
        PasswordTurn {
            turn: Arc::new(turn),
            threads: self.threads.handle(),
        }
    }

    /// How many work with passwords at the same time.
    pub fn limit(&self) -> &QueuedLimit {
        self.limit.whole()
    }
}

impl PasswordTurn {
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
        // The thread has its share in the turn: a client that goes away does not
        // make room for one hash more.
        let turn = Arc::clone(&self.turn);
        let (answer, answered) = oneshot::channel();
        self.threads.spawn_blocking(move || {
            let done = (!answer.is_closed()).then(work);
            // Before the answer: who has it may come again at once, and finds room.
            drop(turn);
            if let Some(done) = done {
                let _ = answer.send(done);
            }
        });
        Ok(answered.await.map_err(|_| PasswordError::Stopped)??)
    }
}

/// A runtime for the sake of its blocking threads alone. Those of the runtime
/// that serves requests also ask the operating system for names and read files,
/// and must neither wait behind passwords nor cede the processor.
struct Threads(Option<Runtime>, Handle);

impl Threads {
    fn new(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads)
            .thread_name("password")
            .thread_keep_alive(KEPT_FOR)
            .on_thread_start(cede_to_others)
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    fn handle(&self) -> Handle {
        self.1.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which no asynchronous
        // task may do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Threads")
    }
}

/// Linux alone gives each thread a priority of its own; elsewhere this call would
/// slow the whole process down.
fn cede_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "passwords are hashed with the priority of everything else"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn password() -> PlainPassword {
        PlainPassword::presented("correct horse battery")
    }

    #[tokio::test]
    async fn a_full_line_refuses_before_anything_is_hashed() {
        // A8, section 10
        let workers = PasswordWorkers::new(1, 0).unwrap();
        let (one, two) = (workers.enter().await, workers.enter().await);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(workers.enter().await.is_err());
        let (hash, other) =
            tokio::join!(one.hash(password(), [1; 16]), two.hash(password(), [2; 16]));
        assert_ne!(hash.unwrap().as_str(), other.unwrap().as_str());
        drop(one);
        assert!(workers.enter().await.is_ok());
    }

    #[tokio::test]
    async fn no_address_takes_the_places_of_another() {
        // A8
        let workers = PasswordWorkers::new(2, 0).unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap().into();
        let mut turns = Vec::new();
        // One customer has a whole /64.
        for host in 1..=2 {
            let eve = address(&format!("2001:db8::{host}"));
            turns.push(workers.enter_from(eve).await.unwrap());
        }
        assert!(workers.enter_from(address("2001:db8::9")).await.is_err());
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            turns.push(workers.enter_from(address(other)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn who_goes_away_keeps_the_turn_until_the_hash_is_done() {
        // A8
        let workers = PasswordWorkers::new(1, 0).unwrap();
        let turn = workers.enter().await.unwrap();
        let (started, has_started) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let work = async move {
            let work = move || {
                let _ = started.send(());
                let _ = may_go_on.blocking_recv();
                Ok(())
            };
            turn.run(work).await
        };
        let task = tokio::spawn(work);
        has_started.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(workers.limit().load().in_flight, 1);
        go_on.send(()).unwrap();
        while workers.limit().load().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_cedes_the_processor_and_nothing_else_does() {
        // A8
        let own = || rustix::process::getpriority_process(None);
        let before = own().unwrap();
        let workers = PasswordWorkers::new(1, 0).unwrap();
        let turn = workers.enter().await.unwrap();
        let niceness = turn.run(move || Ok(own())).await.unwrap().unwrap();
        assert_eq!(niceness, (before + NICENESS).min(19));
        assert_eq!(own().unwrap(), before);
    }
}
