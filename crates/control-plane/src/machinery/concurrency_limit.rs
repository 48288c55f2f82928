//! So much at the same time and no more. Who finds no room is told so at once and
//! comes again later: a server that queues without bound answers everybody too
//! late, and answers nobody once callers give up (contract section 10,
//! `overloaded`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// There is no room; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is under way already")]
pub struct Overloaded {
    /// When to come again. It differs from one refusal to the next, so that those
    /// who were refused together do not come back together.
    pub retry_after: time::Duration,
}

/// What a limit has seen, for whoever watches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many are inside now, those who wait for their turn included.
    pub in_flight: usize,
    /// How many were refused since the start.
    pub refused: u64,
}

/// At most so many at a time, and nobody waits. Clones share the places. Entering
/// and leaving neither lock nor allocate: the cheapest requests pass through one.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit(Arc<Places>);

#[derive(Debug)]
struct Places {
    capacity: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
}

/// Room for one, given back when this is dropped.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl ConcurrencyLimit {
    /// Room for `capacity`, at least one.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Places {
            capacity: capacity.max(1),
            taken: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes a place if there is one.
    ///
    /// # Errors
    /// [`Overloaded`] when all are taken.
    pub fn enter(&self) -> Result<Place, Overloaded> {
        let places = &self.0;
        let one_more = |taken| (taken < places.capacity).then_some(taken + 1);
        let entered = places
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        match entered {
            Ok(_) => Ok(Place(Arc::clone(places))),
            Err(_) => Err(self.refuse()),
        }
    }

    /// Whether somebody who came now would find a place, without taking it.
    ///
    /// # Errors
    /// [`Overloaded`] when all are taken; it counts as a refusal.
    pub fn check(&self) -> Result<(), Overloaded> {
        if self.has_room() {
            Ok(())
        } else {
            Err(self.refuse())
        }
    }

    fn has_room(&self) -> bool {
        self.load().in_flight < self.0.capacity
    }

    /// What the limit has seen.
    pub fn load(&self) -> Load {
        Load {
            in_flight: self.0.taken.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    fn refuse(&self) -> Overloaded {
        // One to three seconds in turn: as even as drawing lots, and cheaper.
        let seconds = 1 + self.0.refused.fetch_add(1, Ordering::Relaxed) % 3;
        Overloaded {
            retry_after: Duration::from_secs(seconds).try_into().unwrap_or_default(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// At most so many at work, and a short line of those who wait for their turn, in
/// the order in which they came. Clones share the line.
#[derive(Debug, Clone)]
pub struct QueuedLimit {
    inside: ConcurrencyLimit,
    turns: Arc<Semaphore>,
    longest_wait: Duration,
}

/// The turn of one, given back when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

impl QueuedLimit {
    /// `at_once` at work, at least one, and `waiting` in line, each for
    /// `longest_wait` at the most.
    pub fn new(at_once: usize, waiting: usize, longest_wait: Duration) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inside: ConcurrencyLimit::new(at_once.saturating_add(waiting)),
            turns: Arc::new(Semaphore::new(at_once)),
            longest_wait,
        }
    }

    /// Waits for a turn. Whoever gives up waiting leaves the line.
    ///
    /// # Errors
    /// [`Overloaded`]: at once when the line is full, or when the wait was too long.
    pub async fn enter(&self) -> Result<Turn, Overloaded> {
        let place = self.join()?;
        self.within(self.turn(place)).await
    }

    /// Takes a place, from which to wait for a turn.
    pub(crate) fn join(&self) -> Result<Place, Overloaded> {
        self.inside.enter()
    }

    /// Waits for the turn of who has joined, however long.
    pub(crate) async fn turn(&self, place: Place) -> Result<Turn, Overloaded> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Ok(Turn {
            _turn: turn.map_err(|_| self.refuse())?,
            _place: place,
        })
    }

    /// Waits for no longer than one may in this line.
    pub(crate) async fn within<T>(
        &self,
        waiting: impl Future<Output = Result<T, Overloaded>>,
    ) -> Result<T, Overloaded> {
        let waited = tokio::time::timeout(self.longest_wait, waiting).await;
        waited.unwrap_or_else(|_| Err(self.refuse()))
    }

    /// One more was refused.
    pub(crate) fn refuse(&self) -> Overloaded {
        self.inside.refuse()
    }

    /// Whether somebody who came now could at least wait, without joining the line.
    ///
    /// # Errors
    /// [`Overloaded`] when the line is full; it counts as a refusal.
    pub fn check(&self) -> Result<(), Overloaded> {
        self.inside.check()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.inside.has_room()
    }

    /// What the limit has seen.
    pub fn load(&self) -> Load {
        self.inside.load()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_full_limit_refuses_at_once_and_a_place_that_is_left_is_free() {
        // Section 10
        let limit = ConcurrencyLimit::new(2);
        let (one, two) = (limit.enter().unwrap(), limit.enter().unwrap());
        assert!(limit.enter().is_err() && limit.check().is_err());
        assert_eq!(
            limit.load(),
            Load {
                in_flight: 2,
                refused: 2
            }
        );
        drop(one);
        assert!(limit.check().is_ok());
        let three = limit.enter().unwrap();
        assert!(limit.enter().is_err());
        drop((two, three));
        assert_eq!(limit.load().in_flight, 0);
    }

    #[test]
    fn those_who_are_refused_come_back_at_different_times() {
        let limit = ConcurrencyLimit::new(1);
        let _place = limit.enter().unwrap();
        let told: Vec<i64> = (0..6)
            .map(|_| limit.enter().unwrap_err().retry_after.whole_seconds())
            .collect();
        assert_eq!(told, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn no_more_than_the_limit_are_ever_inside() {
        let limit = ConcurrencyLimit::new(3);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Ok(_place) = limit.enter() {
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(limit.load().in_flight, 0);
    }

    #[tokio::test]
    async fn a_full_line_refuses_at_once_and_the_next_in_line_has_the_next_turn() {
        // Section 10
        let limit = QueuedLimit::new(1, 1, LONG);
        let turn = limit.enter().await.unwrap();
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.enter().await }
        });
        while limit.load().in_flight < 2 {
            tokio::task::yield_now().await;
        }
        assert!(limit.check().is_err() && limit.enter().await.is_err());
        drop(turn);
        let next = waiting.await.unwrap().unwrap();
        assert_eq!(limit.load().in_flight, 1);
        drop(next);
        assert_eq!(
            limit.load(),
            Load {
                in_flight: 0,
                refused: 2
            }
        );
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_the_line() {
        let limit = QueuedLimit::new(1, 1, LONG);
        let _turn = limit.enter().await.unwrap();
        {
            let mut waiting = pin!(limit.enter());
            assert!(waiting.as_mut().now_or_never().is_none());
            assert_eq!(limit.load().in_flight, 2);
        }
        assert_eq!(limit.load().in_flight, 1);
        assert!(limit.check().is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_for_longer_than_the_longest_wait() {
        // Section 10
        let limit = QueuedLimit::new(1, 1, Duration::from_millis(20));
        let _turn = limit.enter().await.unwrap();
        assert!(limit.enter().await.is_err());
        assert_eq!(
            limit.load(),
            Load {
                in_flight: 1,
                refused: 1
            }
        );
    }
}
