//! A limit that many callers share, and of which nobody has more than a part: who
//! asks most would else take all of it, and everybody else would be refused for
//! one caller's sake.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Overloaded, QueuedLimit, Turn};

/// So many at work and so many in line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) at_once: usize,
    pub(crate) waiting: usize,
}

/// A [`QueuedLimit`] of which each caller has a part. Clones share it. It remembers
/// those alone who are inside, so that it never grows beyond its places.
#[derive(Debug, Clone)]
pub(crate) struct FairLimit<K: Copy + Eq + Hash> {
    whole: QueuedLimit,
    part: Room,
    callers: Callers<K>,
}

type Callers<K> = Arc<Mutex<HashMap<K, Caller>>>;

/// Somebody who is inside, once or several times.
#[derive(Debug)]
struct Caller {
    inside: usize,
    turns: Arc<Semaphore>,
}

/// The turn of one, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct FairTurn<K: Copy + Eq + Hash> {
    _turn: Turn,
    _part: Option<(OwnedSemaphorePermit, Seat<K>)>,
}

/// One of a caller's own places.
#[derive(Debug)]
struct Seat<K: Copy + Eq + Hash> {
    callers: Callers<K>,
    caller: K,
}

impl<K: Copy + Eq + Hash> FairLimit<K> {
    /// Room for all, of which each has `part`, at least one at work; nobody is in
    /// line for more than `longest_wait`.
    pub(crate) fn new(all: Room, part: Room, longest_wait: Duration) -> Self {
        Self {
            whole: QueuedLimit::new(all.at_once, all.waiting, longest_wait),
            part: Room {
                at_once: part.at_once.clamp(1, Semaphore::MAX_PERMITS),
                ..part
            },
            callers: Callers::default(),
        }
    }

    /// Waits for a turn of this caller.
    ///
    /// # Errors
    /// [`Overloaded`]: at once when the line, or the caller's part of it, is full,
    /// or when the wait was too long.
    pub(crate) async fn enter(&self, caller: K) -> Result<FairTurn<K>, Overloaded> {
        let place = self.whole.join()?;
        let refuse = || self.whole.refuse();
        let (seat, turns) = self.seat(caller).ok_or_else(refuse)?;
        // The caller's own turn first: who waits for it keeps nobody else waiting.
        let turn = async {
            let own = turns.acquire_owned().await.map_err(|_| refuse())?;
            let turn = self.whole.turn(place).await?;
            Ok(FairTurn {
                _turn: turn,
                _part: Some((own, seat)),
            })
        };
        self.whole.within(turn).await
    }

    /// Waits for a turn on nobody's behalf: the server's own, or its operator's.
    ///
    /// # Errors
    /// As [`QueuedLimit::enter`].
    pub(crate) async fn enter_for_nobody(&self) -> Result<FairTurn<K>, Overloaded> {
        Ok(FairTurn {
            _turn: self.whole.enter().await?,
            _part: None,
        })
    }

    /// What all share.
    pub(crate) fn whole(&self) -> &QueuedLimit {
        &self.whole
    }

    fn seat(&self, caller: K) -> Option<(Seat<K>, Arc<Semaphore>)> {
        let mut callers = lock(&self.callers);
        let found = callers.entry(caller).or_insert_with(|| Caller {
            inside: 0,
            turns: Arc::new(Semaphore::new(self.part.at_once)),
        });
        if found.inside >= self.part.at_once.saturating_add(self.part.waiting) {
            return None;
        }
        found.inside += 1;
        let seat = Seat {
            callers: Arc::clone(&self.callers),
            caller,
        };
        Some((seat, Arc::clone(&found.turns)))
    }
}

impl<K: Copy + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut found) = lock(&self.callers).entry(self.caller) {
            found.get_mut().inside -= 1;
            if found.get().inside == 0 {
                found.remove();
            }
        }
    }
}

fn lock<K>(callers: &Mutex<HashMap<K, Caller>>) -> MutexGuard<'_, HashMap<K, Caller>> {
    // Counts, each written whole.
    callers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn limit(all: (usize, usize), part: (usize, usize), longest_wait: Duration) -> FairLimit<char> {
        let room = |(at_once, waiting)| Room { at_once, waiting };
        FairLimit::new(room(all), room(part), longest_wait)
    }

    fn callers(limit: &FairLimit<char>) -> usize {
        lock(&limit.callers).len()
    }

    #[tokio::test]
    async fn one_caller_has_a_part_and_the_rest_is_for_others() {
        // Section 10
        let limit = limit((4, 4), (2, 1), LONG);
        let held = [limit.enter('a').await, limit.enter('a').await];
        assert!(held.iter().all(Result::is_ok));
        let third = tokio::spawn({
            let limit = limit.clone();
            async move { limit.enter('a').await }
        });
        while limit.whole().load().in_flight < 3 {
            tokio::task::yield_now().await;
        }
        assert!(limit.enter('a').await.is_err());
        // Who waits for a turn of its own is in nobody's way.
        let others = [limit.enter('b').await, limit.enter('b').await];
        assert!(others.iter().all(Result::is_ok));
        drop(held);
        drop(third.await.unwrap().unwrap());
        assert_eq!(limit.whole().load().refused, 1);
        drop(others);
        assert_eq!((callers(&limit), limit.whole().load().in_flight), (0, 0));
    }

    #[tokio::test]
    async fn all_callers_together_have_no_more_than_the_whole() {
        let limit = limit((1, 0), (1, 0), LONG);
        let turn = limit.enter('a').await.unwrap();
        assert!(limit.enter('b').await.is_err() && limit.enter_for_nobody().await.is_err());
        drop(turn);
        let own = limit.enter_for_nobody().await.unwrap();
        assert!(limit.enter('a').await.is_err());
        assert_eq!(callers(&limit), 0);
        drop(own);
    }

    #[tokio::test]
    async fn nobody_waits_for_longer_than_the_longest_wait() {
        let limit = limit((2, 2), (1, 1), Duration::from_millis(20));
        let turn = limit.enter('a').await.unwrap();
        assert!(limit.enter('a').await.is_err());
        assert_eq!(limit.whole().load().in_flight, 1);
        drop(turn);
        assert_eq!((callers(&limit), limit.whole().load().in_flight), (0, 0));
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_nothing_behind() {
        let limit = limit((2, 2), (1, 1), LONG);
        let turn = limit.enter('a').await.unwrap();
        {
            let mut waiting = pin!(limit.enter('a'));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert_eq!(limit.whole().load().in_flight, 2);
        }
        assert_eq!(limit.whole().load().in_flight, 1);
        drop(turn);
        assert_eq!((callers(&limit), limit.whole().load().in_flight), (0, 0));
    }
}
