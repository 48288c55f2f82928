//! Work that has to be done elsewhere is claimed piece by piece, and whatever it has to be
//! done for (each cluster, say: the key) has workers of its own (contract R10). What hangs
//! or fails keeps nothing else waiting: what is tried again has other places than what is
//! new, and what takes long leaves its place to the next.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use remotegpu_namespaces::{ClusterDirectory, ClusterName, ClusterStatus, DueWork, Tried};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, timeout},
};

/// How long a piece of work keeps its place. What takes longer goes on without one.
const PLACE_FOR: Duration = Duration::from_millis(250);
/// How many pieces of work one key has under way at the most, with a place or
/// without: so many must hang within the few seconds that each may take before others
/// wait for them.
const UNDER_WAY: usize = 256;
/// How long the work of a key is left alone when the store did not take it: it may
/// well go on answering what is due.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long after a vain attempt a key that is down is tried again.
const DOWN_PAUSE: Duration = Duration::from_secs(1);
/// How long the work of a key is left alone that nobody here knows: only a restart can
/// change that.
const UNKNOWN_PAUSE: Duration = Duration::from_mins(1);

/// How it is with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It works, as far as one knows.
    Up,
    /// It does not. Of its work a single piece is tried now and then: whoever waits for
    /// it is told.
    Down,
    /// This instance does not know it.
    Unknown,
}

impl KeyState {
    /// How it is with a cluster.
    pub(crate) fn of_cluster(clusters: &dyn ClusterDirectory, cluster: &ClusterName) -> Self {
        if clusters.find(cluster).is_none() {
            Self::Unknown
        } else if clusters.status(cluster) == ClusterStatus::Unavailable {
            Self::Down
        } else {
            Self::Up
        }
    }
}

/// What came of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkOutcome {
    /// Nothing is left to do.
    Done,
    /// It is due again at another time, as it has to be.
    Later,
    /// It failed, and is due again at another time.
    Failed,
}

/// A kind of work.
#[async_trait]
pub(crate) trait Work<Key: Clone + Eq + Hash + Send + Sync + 'static>:
    Send + Sync + 'static
{
    /// One piece of it.
    type Piece: Send + 'static;

    /// How many pieces of a key that are new are worked on at the same time, and how
    /// many that were tried before.
    fn places(&self, tried: Tried) -> usize;
    /// How it is with a key.
    fn state_of(&self, key: &Key) -> KeyState;
    /// Where it is counted what came of it.
    fn counts(&self) -> &WorkCounts;
    /// What is due.
    async fn due(&self) -> Result<Vec<DueWork<Key>>, StoreError>;
    /// Claims up to so many pieces, for so long that nobody else begins one that is being
    /// done. What a dead instance has claimed comes back.
    async fn claim(&self, due: &DueWork<Key>, limit: u32) -> Result<Vec<Self::Piece>, StoreError>;
    /// Does one of them, or has it due again later.
    async fn act(&self, piece: Self::Piece) -> WorkOutcome;
    /// All pieces that were under way are done.
    fn rest(&self) {}
    /// Waits until it is worth looking again.
    async fn wait(&self);
}

/// When what was not finished is tried again: after half of the time since it was first
/// due, so that each pause is half as long again as the one before; no counter is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) soonest: time::Duration,
    pub(crate) latest: time::Duration,
}

impl Backoff {
    pub(crate) fn pause(self, since: OffsetDateTime, now: OffsetDateTime) -> time::Duration {
        let half: time::Duration = (now - since) / 2;
        half.clamp(self.soonest, self.latest)
    }
}

/// What an instance has done of a kind of work since it started.
#[derive(Debug, Default)]
pub struct WorkCounts {
    under_way: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

impl WorkCounts {
    /// How many pieces are under way.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many pieces were finished.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many attempts failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn note(&self, outcome: WorkOutcome) {
        match outcome {
            WorkOutcome::Done => self.done.fetch_add(1, Ordering::Relaxed),
            WorkOutcome::Failed => self.failed.fetch_add(1, Ordering::Relaxed),
            WorkOutcome::Later => 0,
        };
    }
}

/// Works on all keys at the same time, until it is dropped.
pub(crate) async fn work_off<Key, W>(work: W)
where
    Key: Clone + Eq + Hash + Send + Sync + 'static,
    W: Work<Key>,
{
    let mut crew = Crew {
        work: Arc::new(work),
        under_way: JoinSet::new(),
        places: HashMap::new(),
        in_all: HashMap::new(),
        resting: HashMap::new(),
        full: HashSet::new(),
    };
    loop {
        crew.take_up().await;
        crew.go_on().await;
    }
}

struct Crew<Key, W> {
    work: Arc<W>,
    under_way: JoinSet<WorkOutcome>,
    places: HashMap<DueWork<Key>, Arc<Semaphore>>,
    in_all: HashMap<Key, Arc<Semaphore>>,
    /// What is left alone until then.
    resting: HashMap<DueWork<Key>, Instant>,
    /// What had as much to do as there was room for: there may be more.
    full: HashSet<DueWork<Key>>,
}

impl<Key: Clone + Eq + Hash + Send + Sync + 'static, W: Work<Key>> Crew<Key, W> {
    /// Claims what is due, as far as there is room, and begins it.
    async fn take_up(&mut self) {
        self.full.clear();
        let due = match self.work.due().await {
            Ok(due) => due,
            Err(error) => {
                tell_store(&error, "work was not looked for");
                return;
            }
        };
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        for due in due {
            if !self.resting.contains_key(&due) {
                self.take_up_of(due).await;
            }
        }
    }

    async fn take_up_of(&mut self, due: DueWork<Key>) {
        let (limit, pause) = match self.work.state_of(&due.key) {
            KeyState::Up => (usize::MAX, None),
            KeyState::Down => (1, Some(DOWN_PAUSE)),
            KeyState::Unknown => (usize::MAX, Some(UNKNOWN_PAUSE)),
        };
        let limit = limit.min(self.room(&due));
        if limit == 0 {
            return;
        }
        let bound = u32::try_from(limit).unwrap_or(u32::MAX);
        let claimed = self.work.claim(&due, bound).await;
        let pause = pause.or(claimed.is_err().then_some(STORE_PAUSE));
        if let Some(pause) = pause {
            self.resting.insert(due.clone(), Instant::now() + pause);
        }
        match claimed {
            Ok(pieces) => {
                let is_full = pieces.len() == limit;
                for piece in pieces {
                    self.begin(&due, piece);
                }
                if is_full {
                    self.full.insert(due);
                }
            }
            Err(error) => tell_store(&error, "work could not be claimed"),
        }
    }

    fn room(&mut self, due: &DueWork<Key>) -> usize {
        let places = self.places_of(due).available_permits();
        places.min(self.all_of(&due.key).available_permits())
    }

    fn places_of(&mut self, due: &DueWork<Key>) -> &Arc<Semaphore> {
        let count = self.work.places(due.tried);
        let places = self.places.entry(due.clone());
        places.or_insert_with(|| Arc::new(Semaphore::new(count)))
    }

    fn all_of(&mut self, key: &Key) -> &Arc<Semaphore> {
        let all = self.in_all.entry(key.clone());
        all.or_insert_with(|| Arc::new(Semaphore::new(UNDER_WAY)))
    }

    fn begin(&mut self, due: &DueWork<Key>, piece: W::Piece) {
        // No more are claimed than there is room for.
        let place = Arc::clone(self.places_of(due)).try_acquire_owned().ok();
        let counted = Arc::clone(self.all_of(&due.key)).try_acquire_owned().ok();
        let work = Arc::clone(&self.work);
        self.under_way.spawn(async move {
            let _counted = counted;
            act::<Key, W>(&*work, piece, place).await
        });
        self.count();
    }

    /// Waits until it is worth looking again: because somebody says so, or because there
    /// was more to do than room for it, and there is room now.
    async fn go_on(&mut self) {
        let work = Arc::clone(&self.work);
        let mut waiting = pin!(work.wait());
        loop {
            tokio::select! {
                () = &mut waiting => return,
                Some(done) = self.under_way.join_next() => {
                    let outcome = done.unwrap_or_else(|error| {
                        // What it had claimed comes back when the claim ends.
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "a piece of work broke off"
                        );
                        WorkOutcome::Failed
                    });
                    self.work.counts().note(outcome);
                    self.count();
                    if self.under_way.is_empty() {
                        work.rest();
                    }
                }
            }
            if self.full.iter().any(|due| self.has_room_again(due)) {
                return;
            }
        }
    }

    fn count(&self) {
        let under_way = self.under_way.len() as u64;
        let counts = self.work.counts();
        counts.under_way.store(under_way, Ordering::Relaxed);
    }

    /// Whether half of the places are free, so that a claim is worth its queries.
    fn has_room_again(&self, due: &DueWork<Key>) -> bool {
        let places = self.places.get(due);
        let free = places.map_or(0, |places| places.available_permits());
        !self.resting.contains_key(due) && 2 * free >= self.work.places(due.tried)
    }
}

async fn act<Key, W>(work: &W, piece: W::Piece, place: Option<OwnedSemaphorePermit>) -> WorkOutcome
where
    Key: Clone + Eq + Hash + Send + Sync + 'static,
    W: Work<Key>,
{
    let mut acting = pin!(work.act(piece));
    if let Ok(outcome) = timeout(PLACE_FOR, &mut acting).await {
        return outcome;
    }
    drop(place);
    acting.await
}

/// Warns that the store did not do what was asked.
pub(crate) fn tell_store(error: &StoreError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}

#[cfg(test)]
mod tests;
