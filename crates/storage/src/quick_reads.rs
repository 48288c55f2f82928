//! Connections to PostgreSQL for the reads that decide about requests: one for each
//! runtime, and for all of its reads at the same time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use diesel_async::AsyncPgConnection;
use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::postgres::PgManager;

/// How long no other is opened after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A connection that was silent for so long is not trusted: something on the way may
/// have forgotten it, and nobody would be told.
pub const SILENCE: Duration = Duration::from_mins(1);
/// One is no older than this, so that an address that leads to another server by now is
/// followed.
const LIFETIME: Duration = Duration::from_mins(5);
/// A question that is not answered within this time is asked elsewhere, and its
/// connection counts as dead: the rows that are read here take a millisecond.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// A connection for each runtime that reads, such as an HTTP worker.
///
/// Reads of one row by its key are shorter than the way to a pooled connection: that is
/// driven by whichever runtime opened it, so that question and answer go from thread
/// to thread. Here they stay on the reader's own. Questions are sent without waiting for
/// the answers of others, and are answered in their order: what may take long, or
/// belongs to a transaction, has no place here.
///
/// There is a connection or there is none, nobody waits for one: the pool is for
/// whoever finds none.
pub struct QuickReads {
    manager: PgManager,
    statement_timeout: Duration,
    most: usize,
    slots: RwLock<Vec<(Id, Arc<Slot>)>>,
}

/// Where a runtime has its connection.
struct Slot(Mutex<State>);

enum State {
    Absent {
        until: Option<Instant>,
    },
    Opening,
    Open {
        connection: Arc<AsyncPgConnection>,
        opened: Instant,
        answered: Instant,
    },
}

/// A question on its way: the connection, until it has answered.
pub struct QuickRead {
    connection: Arc<AsyncPgConnection>,
    slot: Arc<Slot>,
    asked: Instant,
    answered: bool,
}

impl QuickReads {
    /// Such connections for `most` runtimes; further ones have none.
    pub fn new(manager: PgManager, statement_timeout: Duration, most: usize) -> Self {
        Self {
            manager,
            statement_timeout,
            most,
            slots: RwLock::default(),
        }
    }

    /// This runtime's connection, if it has one by now; else one is opened for
    /// those who come later.
    pub fn here(&self) -> Option<QuickRead> {
        let slot = self.slot()?;
        let mut state = slot.lock();
        let now = Instant::now();
        match &*state {
            State::Open {
                connection,
                opened,
                answered,
            } if now - *answered < SILENCE && now - *opened < LIFETIME => {
                return Some(QuickRead {
                    connection: Arc::clone(connection),
                    slot: Arc::clone(&slot),
                    asked: now,
                    answered: false,
                });
            }
            State::Absent { until } if until.is_some_and(|until| now < until) => return None,
            State::Opening => return None,
            State::Open { .. } | State::Absent { .. } => *state = State::Opening,
        }
        drop(state);
        let (manager, statement_timeout) = (self.manager.clone(), self.statement_timeout);
        // On this runtime, which drives the connection from then on.
        tokio::spawn(async move {
            let opened = manager.open(statement_timeout).await;
            *slot.lock() = match opened {
                Ok(connection) => State::Open {
                    connection: Arc::new(connection),
                    opened: Instant::now(),
                    answered: Instant::now(),
                },
                // The pool meets the same, and tells the log.
                Err(_) => State::resting(),
            };
        });
        None
    }

    fn slot(&self) -> Option<Arc<Slot>> {
        let id = Handle::current().id();
        let of_runtime = |slots: &[(Id, Arc<Slot>)]| {
            let found = slots.iter().find(|(runtime, _)| *runtime == id)?;
            Some(Arc::clone(&found.1))
        };
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let found = of_runtime(&slots);
        if found.is_some() || slots.len() >= self.most {
            return found;
        }
        drop(slots);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread of the same runtime may have been faster.
        of_runtime(&slots).or_else(|| {
            let slot = Arc::new(Slot(Mutex::new(State::Absent { until: None })));
            let fits = slots.len() < self.most;
            fits.then(|| slots.push((id, Arc::clone(&slot))))?;
            Some(slot)
        })
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced as a whole, so that no panic leaves a part of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuickRead {
    /// Many questions share it.
    pub fn connection(&self) -> &AsyncPgConnection {
        &self.connection
    }

    /// Notes that it has answered.
    pub fn answered(mut self) {
        self.answered = true;
        let mut state = self.slot.lock();
        if let State::Open {
            connection,
            answered,
            ..
        } = &mut *state
            && Arc::ptr_eq(connection, &self.connection)
        {
            *answered = Instant::now();
        }
    }

    /// Nobody else is to ask it.
    pub fn failed(&self) {
        let mut state = self.slot.lock();
        let same = matches!(
            &*state,
            State::Open { connection, .. } if Arc::ptr_eq(connection, &self.connection)
        );
        if same {
            *state = State::resting();
        }
    }
}

impl Drop for QuickRead {
    fn drop(&mut self) {
        if !self.answered && self.asked.elapsed() >= PATIENCE {
            self.failed();
        }
    }
}

impl State {
    fn resting() -> Self {
        Self::Absent {
            until: Some(Instant::now() + PAUSE),
        }
    }
}
