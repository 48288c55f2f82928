//! What holds of every buffer.

use std::sync::{Arc, atomic::AtomicBool};

use remotegpu_test_support::clock::TestClock;
use time::{Duration as Span, macros::datetime};

use super::*;

const START: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// A letter that happened so many seconds after the start.
type Letter = (u64, i64);

/// Refuses as often as it was told to, and what it was told never to take; keeps what it
/// took, batch for batch.
#[derive(Default)]
pub struct Shelf {
    refusals: AtomicU64,
    poison: Vec<u64>,
    /// Takes nothing but what it has already, of which it writes nothing.
    is_full: AtomicBool,
    batches: Mutex<Vec<Vec<Letter>>>,
    /// What happens after each batch, the last one first.
    happens: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    tries: AtomicU64,
}

impl Shelf {
    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn refuse(&self, times: u64) {
        self.refusals.store(times, Ordering::Relaxed);
    }
}

#[async_trait]
impl Entry for Letter {
    type Key = u64;
    type Store = Shelf;
    const NAME: &'static str = "letters";
    const PACE: Pace = Pace {
        capacity: 20_000,
        crowd: BATCH,
        every: Duration::from_hours(1),
        apart: Span::ZERO,
        rest: 0,
    };

    fn key(&self) -> u64 {
        self.0
    }

    fn at(&self) -> OffsetDateTime {
        START + Span::seconds(self.1)
    }

    async fn write(shelf: &Shelf, letters: &[Self]) -> Result<(), StoreError> {
        shelf.take(letters)
    }

    fn tell_dropped(&self, _: &StoreError) {}
}

impl Shelf {
    fn take(&self, letters: &[Letter]) -> Result<(), StoreError> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let odd = |letter: &Letter| self.poison.iter().position(|odd| *odd == letter.0);
        if let Some(place) = letters.iter().find_map(odd) {
            // Every other one is refused by a word that may mean anything.
            return Err(if place % 2 == 1 {
                StoreError::Conflict(None)
            } else {
                StoreError::unavailable("some trigger said no")
            });
        }
        let left = self.refusals.load(Ordering::Relaxed);
        if left > 0 {
            self.refuse(left - 1);
            return Err(StoreError::unavailable("down"));
        }
        if self.is_full.load(Ordering::Relaxed) {
            let batches = self.batches.lock().unwrap();
            let has = |letter| batches.iter().any(|batch| batch.contains(letter));
            return if letters.iter().all(has) {
                Ok(())
            } else {
                Err(StoreError::unavailable("no space left on device"))
            };
        }
        self.batches.lock().unwrap().push(letters.to_vec());
        let happens = self.happens.lock().unwrap().pop();
        if let Some(happens) = happens {
            happens();
        }
        Ok(())
    }
}

/// The same letters, of which one place gets one a minute at the most.
#[derive(Clone)]
struct Rare(Letter);

#[async_trait]
impl Entry for Rare {
    type Key = u64;
    type Store = Shelf;
    const NAME: &'static str = "rare letters";
    const PACE: Pace = Pace {
        apart: Span::MINUTE,
        ..Letter::PACE
    };

    fn key(&self) -> u64 {
        self.0.0
    }

    fn at(&self) -> OffsetDateTime {
        self.0.at()
    }

    async fn write(shelf: &Shelf, letters: &[Self]) -> Result<(), StoreError> {
        let letters: Vec<Letter> = letters.iter().map(|letter| letter.0).collect();
        shelf.take(&letters)
    }

    fn tell_dropped(&self, _: &StoreError) {}
}

#[tokio::test]
async fn what_a_store_refused_is_written_by_the_next_flush() {
    // R5
    let (buffer, shelf) = (Buffer::<Letter>::default(), Shelf::default());
    for letter in 0..2_500 {
        buffer.keep((letter, 0));
    }
    // The batch, and the entry that is tried after it.
    shelf.refuse(2);
    buffer.flush(&shelf, START).await.unwrap_err();
    assert_eq!(buffer.waiting(), 2_500);
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!(shelf.sizes(), [1000, 1000, 500]);
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!(shelf.sizes().len(), 3);
}

#[tokio::test]
async fn an_entry_that_is_refused_holds_up_no_other() {
    // R5
    let buffer: Buffer<Letter> = Buffer::default();
    for letter in 0..2_500 {
        buffer.keep((letter, 0));
    }
    let mut shelf = Shelf {
        poison: vec![0, 1, 499, 999, 1000, 2_499],
        ..Shelf::default()
    };
    // Until one was taken nobody knows whether the store is away: another entry is tried
    // each time, and the first of them is poison.
    buffer.flush(&shelf, START).await.unwrap_err();
    assert_eq!(buffer.waiting(), 2_500);
    for _ in 0..2 {
        let _ = buffer.flush(&shelf, START).await;
    }
    // Those that are refused by name are dropped; the others may be written some day.
    assert_eq!((buffer.waiting(), buffer.dropped()), (3, 3));
    let written: usize = shelf.sizes().iter().sum();
    assert!(written >= 2_494, "{written}");
    let tries = shelf.tries.load(Ordering::Relaxed);
    assert!(tries < 6 * 60, "{tries}");
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!(shelf.tries.load(Ordering::Relaxed), tries, "they rest");
    shelf.poison.clear();
    buffer.flush(&shelf, START + Span::MINUTE).await.unwrap();
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 3));
}

#[tokio::test]
async fn a_store_that_has_no_space_left_loses_no_entry() {
    // R5: what changes nothing it still takes.
    let (buffer, shelf) = (Buffer::<Letter>::default(), Shelf::default());
    buffer.keep((0, 0));
    buffer.flush(&shelf, START).await.unwrap();
    for letter in 1..=2_500 {
        buffer.keep((letter, 0));
    }
    shelf.is_full.store(true, Ordering::Relaxed);
    for second in 0..5 {
        let now = START + Span::seconds(second);
        buffer.flush(&shelf, now).await.unwrap_err();
    }
    assert_eq!((buffer.waiting(), buffer.dropped()), (2_500, 0));
    let tries = shelf.tries.load(Ordering::Relaxed);
    assert!(tries < 5 * 100, "{tries}");
    shelf.is_full.store(false, Ordering::Relaxed);
    // Those that were tried alone rest.
    let now = START + Span::seconds(5);
    buffer.flush(&shelf, now).await.unwrap();
    assert_eq!(buffer.waiting(), 5 * VAIN);
    buffer.drain(&shelf, now).await;
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
    assert_eq!(shelf.sizes().iter().sum::<usize>(), 2_501);
}

#[tokio::test]
async fn one_flush_drops_a_few_entries_at_the_most() {
    // R5
    let buffer: Buffer<Letter> = Buffer::default();
    let odd = (1..60).step_by(2);
    let shelf = Shelf {
        poison: odd.flat_map(|odd| [u64::MAX, odd]).collect(),
        ..Shelf::default()
    };
    for letter in 0..60 {
        buffer.keep((letter, 0));
    }
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!((buffer.waiting(), buffer.dropped()), (10, 20));
    buffer.flush(&shelf, START + Span::MINUTE).await.unwrap();
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 30));
}

#[tokio::test]
async fn a_store_that_goes_away_takes_no_entry_along() {
    // R5
    let (buffer, shelf) = (Buffer::<Letter>::default(), Shelf::default());
    buffer.keep((0, 0));
    buffer.flush(&shelf, START).await.unwrap();
    for letter in 1..5 {
        buffer.keep((letter, 0));
    }
    for _ in 0..3 {
        shelf.refuse(5);
        buffer.flush(&shelf, START).await.unwrap_err();
    }
    shelf.refuse(0);
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
}

#[tokio::test]
async fn a_store_that_stays_away_fills_no_memory() {
    // R5
    let buffer: Buffer<Letter> = Buffer::default();
    for letter in 0..20_007 {
        buffer.keep((letter, 0));
    }
    assert_eq!((buffer.waiting(), buffer.dropped()), (20_000, 7));
}

#[tokio::test]
async fn the_latest_entry_of_a_key_is_written_and_not_too_often() {
    // K14
    let (buffer, shelf) = (Buffer::default(), Shelf::default());
    let flush = async |second: i64| {
        let now = START + Span::seconds(second);
        buffer.flush(&shelf, now).await.unwrap();
        std::mem::take(&mut *shelf.batches.lock().unwrap())
    };
    for letter in [(2, 5), (1, 3), (1, 4), (1, 2)] {
        buffer.keep(Rare(letter));
    }
    assert_eq!(flush(6).await, [[(1, 4), (2, 5)]]);
    buffer.keep(Rare((1, 20)));
    buffer.keep(Rare((3, 21)));
    assert_eq!(flush(30).await, [[(3, 21)]], "nothing else is due");
    assert_eq!(buffer.waiting(), 1);
    assert_eq!(flush(64).await, [[(1, 20)]], "a minute after the last");
    assert!(flush(200).await.is_empty());
    assert!(buffer.lock().is_empty(), "what is quiet is forgotten");
}

#[tokio::test]
async fn a_crowd_is_written_before_its_time_and_the_rest_at_the_end() {
    // R5
    let (buffer, shelf) = (Buffer::<Letter>::default(), Shelf::default());
    let clock = TestClock::default();
    let writing = buffer.keep_flushed(&shelf, &clock);
    let noting = async {
        for letter in 0..1000 {
            buffer.keep((letter, 0));
        }
        while buffer.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    };
    // The time of this buffer is an hour.
    tokio::select! {
        () = writing => {}
        () = noting => {}
    }
    assert_eq!(shelf.sizes(), [1000]);
    buffer.keep((2000, 0));
    buffer.drain(&shelf, START).await;
    assert_eq!((shelf.sizes(), buffer.waiting()), (vec![1000, 1], 0));
}

#[tokio::test]
async fn a_crowd_that_gathers_during_a_flush_is_written_by_it() {
    // R5
    let (buffer, shelf) = (Arc::new(Buffer::<Letter>::default()), Shelf::default());
    let arrive = |letters: std::ops::Range<u64>| {
        let buffer = Arc::clone(&buffer);
        let arriving = move || letters.for_each(|letter| buffer.keep((letter, 0)));
        shelf.happens.lock().unwrap().push(Box::new(arriving));
    };
    // While the last of that is written less than a crowd comes, which has time.
    arrive(3_000..3_999);
    arrive(0..0);
    arrive(1..1_501);
    buffer.keep((0, 0));
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!(shelf.sizes(), [1, 1000, 500]);
    assert_eq!(buffer.waiting(), 999);
}

#[tokio::test]
async fn one_that_is_closed_takes_nothing() {
    // K14
    let (buffer, shelf) = (Buffer::<Letter>::with(false), Shelf::default());
    buffer.keep((1, 0));
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
    buffer.flush(&shelf, START).await.unwrap();
    assert_eq!(shelf.tries.load(Ordering::Relaxed), 0);
}
