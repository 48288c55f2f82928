//! What holds of every kind of work.

use std::sync::Mutex;

use time::macros::datetime;

use super::*;

type Piece = (&'static str, Tried, u32);

/// Work that is known in advance. Numbers from 100 on hang, odd ones fail.
struct Errands {
    left: Mutex<Vec<Piece>>,
    began: Instant,
    ended: Arc<Mutex<HashMap<u32, Duration>>>,
    down: Option<&'static str>,
    counts: Arc<WorkCounts>,
}

impl Errands {
    fn new(left: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            left: Mutex::new(left.into_iter().collect()),
            began: Instant::now(),
            ended: Arc::default(),
            down: None,
            counts: Arc::default(),
        }
    }
}

const PLACES: usize = 4;

#[async_trait]
impl Work<&'static str> for Errands {
    type Piece = u32;

    fn places(&self, _: Tried) -> usize {
        PLACES
    }

    fn state_of(&self, key: &&'static str) -> KeyState {
        if self.down == Some(*key) {
            KeyState::Down
        } else {
            KeyState::Up
        }
    }

    fn counts(&self) -> &WorkCounts {
        &self.counts
    }

    async fn due(&self) -> Result<Vec<DueWork<&'static str>>, StoreError> {
        let left = self.left.lock().unwrap();
        let due: HashSet<_> = left
            .iter()
            .map(|(key, tried, _)| DueWork {
                key: *key,
                tried: *tried,
            })
            .collect();
        Ok(due.into_iter().collect())
    }

    async fn claim(
        &self,
        due: &DueWork<&'static str>,
        limit: u32,
    ) -> Result<Vec<Self::Piece>, StoreError> {
        let mut left = self.left.lock().unwrap();
        let (mut taken, mut room) = (Vec::new(), limit);
        left.retain(|(key, tried, number)| {
            let fits = room > 0 && (*key, *tried) == (due.key, due.tried);
            if fits {
                room -= 1;
                taken.push(*number);
            }
            !fits
        });
        Ok(taken)
    }

    async fn act(&self, number: u32) -> WorkOutcome {
        if number >= 100 {
            std::future::pending::<()>().await;
        }
        let took = self.began.elapsed();
        self.ended.lock().unwrap().insert(number, took);
        if number % 2 == 1 {
            WorkOutcome::Failed
        } else {
            WorkOutcome::Done
        }
    }

    async fn wait(&self) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs it until so many are counted; answers when each of them ended.
async fn run(errands: Errands, until: u64) -> HashMap<u32, Duration> {
    let (ended, counts) = (Arc::clone(&errands.ended), Arc::clone(&errands.counts));
    let all = async {
        while counts.done() + counts.failed() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = work_off(errands) => {}
        in_time = timeout(Duration::from_secs(10), all) => in_time.unwrap(),
    }
    std::mem::take(&mut *ended.lock().unwrap())
}

#[tokio::test]
async fn what_hangs_keeps_nothing_else_waiting() {
    // R10
    let hanging = |key, tried, from: u32| (from..from + 8).map(move |n| (key, tried, n));
    let mut left: Vec<Piece> = hanging("one", Tried::Never, 100).collect();
    left.extend(hanging("two", Tried::Before, 200));
    left.extend([
        ("one", Tried::Never, 2),
        ("one", Tried::Before, 4),
        ("two", Tried::Never, 6),
        ("three", Tried::Never, 8),
    ]);
    let errands = Errands::new(left);
    let counts = Arc::clone(&errands.counts);
    let ended = run(errands, 4).await;
    // Another key, or the other places of this one.
    for number in [4, 6, 8] {
        assert!(ended[&number] < PLACE_FOR, "{ended:?}");
    }
    // In line behind two rounds of those that hang.
    assert!(ended[&2] >= 2 * PLACE_FOR, "{ended:?}");
    assert_eq!(counts.under_way(), 16);
}

#[tokio::test]
async fn of_a_key_that_is_down_one_piece_at_a_time_is_tried() {
    // R10
    let mut errands = Errands::new([
        ("one", Tried::Never, 2),
        ("one", Tried::Never, 4),
        ("two", Tried::Never, 6),
        ("two", Tried::Never, 8),
    ]);
    errands.down = Some("one");
    let ended = run(errands, 4).await;
    assert!(
        ended[&6] < DOWN_PAUSE && ended[&8] < DOWN_PAUSE,
        "{ended:?}"
    );
    assert!(
        ended[&2] < DOWN_PAUSE && ended[&4] >= DOWN_PAUSE,
        "{ended:?}"
    );
}

#[tokio::test]
async fn it_is_counted_what_came_of_it() {
    let errands = Errands::new((0..20).map(|number| ("one", Tried::Never, number)));
    let counts = Arc::clone(&errands.counts);
    run(errands, 20).await;
    assert_eq!(
        (counts.done(), counts.failed(), counts.under_way()),
        (10, 10, 0)
    );
}

#[test]
fn pauses_grow_by_half_between_their_bounds() {
    let backoff = Backoff {
        soonest: time::Duration::SECOND,
        latest: time::Duration::seconds(30),
    };
    let since = datetime!(2026-01-01 00:00 UTC);
    let pause = |seconds: i64| {
        let now = since + time::Duration::seconds(seconds);
        backoff.pause(since, now).whole_seconds()
    };
    assert_eq!([-5, 0, 2, 10, 60, 3600].map(pause), [1, 1, 1, 5, 30, 30]);
}
