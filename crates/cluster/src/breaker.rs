//! Whether a cluster is worth asking: one that hangs is given up after a few
//! requests, so that nobody else waits four seconds to be told so, and is tried
//! again by one request at a time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many requests without an answer in a row, and the cluster is given up.
const FAILURES: u32 = 3;
/// How long a cluster that was given up is left alone before one request tries
/// it again. Short, because ends of credentials wait for it.
const PAUSE: Duration = Duration::from_secs(1);

/// What the last requests have shown.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Everybody may ask; so many have failed in a row.
    Closed { failures: u32 },
    /// Nobody may ask before this moment.
    Open { until: Instant },
    /// One request tries; nobody else may ask until it has an answer.
    Trying,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// Leave to ask, to be followed by what came of it. Dropped without that (whoever
/// asked has gone away) it says nothing about the cluster.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    breaker: &'a Breaker,
    tries: bool,
}

impl Breaker {
    /// Leave to ask, unless the cluster was given up.
    pub(crate) fn attempt(&self) -> Option<Attempt<'_>> {
        let mut state = self.lock();
        let tries = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until <= Instant::now() => {
                *state = State::Trying;
                true
            }
            State::Open { .. } | State::Trying => return None,
        };
        Some(Attempt {
            breaker: self,
            tries,
        })
    }

    /// Whether the cluster was given up.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    fn fail(&self) {
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed {
                failures: failures + 1,
            },
            _ => State::Open {
                until: Instant::now() + PAUSE,
            },
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // One value, written whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The cluster has answered, whatever it said.
    pub(crate) fn answered(mut self) {
        *self.breaker.lock() = State::Closed { failures: 0 };
        self.tries = false;
    }

    /// Nothing came, or not in time.
    pub(crate) fn failed(mut self) {
        self.breaker.fail();
        self.tries = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.tries {
            // The next may try at once.
            *self.breaker.lock() = State::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.attempt().unwrap().failed();
        }
        breaker
    }

    fn pause_is_over(breaker: &Breaker) {
        *breaker.lock() = State::Open {
            until: Instant::now(),
        };
    }

    #[test]
    fn a_cluster_is_given_up_after_failures_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..2 * FAILURES {
            breaker.attempt().unwrap().failed();
            breaker.attempt().unwrap().answered();
        }
        assert!(!breaker.is_open());
        let breaker = given_up();
        assert!(breaker.is_open() && breaker.attempt().is_none());
    }

    #[test]
    fn one_request_at_a_time_tries_whether_it_is_back() {
        let breaker = given_up();
        pause_is_over(&breaker);
        let trial = breaker.attempt().unwrap();
        assert!(breaker.attempt().is_none());
        trial.failed();
        assert!(breaker.attempt().is_none(), "it rests again");
        pause_is_over(&breaker);
        breaker.attempt().unwrap().answered();
        assert!(!breaker.is_open());
        let (_one, _two) = (breaker.attempt().unwrap(), breaker.attempt().unwrap());
    }

    #[test]
    fn a_trial_that_is_given_up_says_nothing() {
        let breaker = given_up();
        pause_is_over(&breaker);
        drop(breaker.attempt().unwrap());
        assert!(breaker.attempt().is_some());
        let breaker = Breaker::default();
        for _ in 0..2 * FAILURES {
            drop(breaker.attempt().unwrap());
        }
        assert!(!breaker.is_open());
    }
}
