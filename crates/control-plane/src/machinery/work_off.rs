//! Work that clusters have to do is claimed row by row, and each cluster has workers of
//! its own for it (contract R10). What hangs or fails keeps nothing else waiting: what is
//! tried again has other places than what is new, and what takes long leaves its place to
//! the next.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use remotegpu_namespaces::{ClusterDirectory, ClusterName, ClusterStatus, DueWork, Tried};
use remotegpu_primitives::StoreError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, timeout},
};

/// How long a piece of work keeps its place. What takes longer goes on without one.
const PLACE_FOR: Duration = Duration::from_millis(250);
/// How many pieces of work one cluster has under way at the most, with a place or
/// without: so many must hang within the few seconds that each may take before others
/// wait for them.
const UNDER_WAY: usize = 256;
/// How long the work of a cluster is left alone when the store did not take it: it may
/// well go on answering what is due.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long after a vain attempt a cluster that is down is tried again.
const DOWN_PAUSE: Duration = Duration::from_secs(1);
/// How long work in a cluster that the configuration does not name is left alone: only a
/// restart can change that.
const UNCONFIGURED_PAUSE: Duration = Duration::from_mins(1);

/// A kind of work that clusters have to do.
#[async_trait]
pub(crate) trait Work: Send + Sync + 'static {
    /// One piece of it.
    type Piece: Send + 'static;

    /// How many pieces of a cluster that are new are worked on at the same time, and how
    /// many that were tried before.
    fn places(&self, tried: Tried) -> usize;
    /// Which clusters there are, and which of them are up.
    fn clusters(&self) -> &dyn ClusterDirectory;
    /// What is due.
    async fn due(&self) -> Result<Vec<DueWork>, StoreError>;
    /// Claims up to so many pieces.
    async fn claim(&self, due: &DueWork, limit: u32) -> Result<Vec<Self::Piece>, StoreError>;
    /// Does one of them.
    async fn act(&self, piece: Self::Piece);
    /// All pieces that were under way are done.
    fn rest(&self);
    /// Waits until it is worth looking again.
    async fn wait(&self);
}

/// Works on all clusters at the same time, until it is dropped.
pub(crate) async fn work_off<W: Work>(work: W) {
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

struct Crew<W: Work> {
    work: Arc<W>,
    under_way: JoinSet<()>,
    places: HashMap<DueWork, Arc<Semaphore>>,
    in_all: HashMap<ClusterName, Arc<Semaphore>>,
    /// What is left alone until then.
    resting: HashMap<DueWork, Instant>,
    /// What had as much to do as there was room for: there may be more.
    full: HashSet<DueWork>,
}

impl<W: Work> Crew<W> {
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
                self.take_up_in(due).await;
            }
        }
    }

    async fn take_up_in(&mut self, due: DueWork) {
        let (limit, pause) = self.pace(&due.cluster);
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

    /// How much of a cluster's work is taken up at once, and how long it rests then. Of
    /// one that is down a single piece is tried: whoever waits for it is told.
    fn pace(&self, cluster: &ClusterName) -> (usize, Option<Duration>) {
        let clusters = self.work.clusters();
        if clusters.find(cluster).is_none() {
            (usize::MAX, Some(UNCONFIGURED_PAUSE))
        } else if clusters.status(cluster) == ClusterStatus::Unavailable {
            (1, Some(DOWN_PAUSE))
        } else {
            (usize::MAX, None)
        }
    }

    fn room(&mut self, due: &DueWork) -> usize {
        let places = self.places_of(due).available_permits();
        places.min(self.all_of(&due.cluster).available_permits())
    }

    fn places_of(&mut self, due: &DueWork) -> &Arc<Semaphore> {
        let count = self.work.places(due.tried);
        let places = self.places.entry(due.clone());
        places.or_insert_with(|| Arc::new(Semaphore::new(count)))
    }

    fn all_of(&mut self, cluster: &ClusterName) -> &Arc<Semaphore> {
        let all = self.in_all.entry(cluster.clone());
        all.or_insert_with(|| Arc::new(Semaphore::new(UNDER_WAY)))
    }

    fn begin(&mut self, due: &DueWork, piece: W::Piece) {
        // No more are claimed than there is room for.
        let place = Arc::clone(self.places_of(due)).try_acquire_owned().ok();
        let counted = Arc::clone(self.all_of(&due.cluster))
            .try_acquire_owned()
            .ok();
        let work = Arc::clone(&self.work);
        self.under_way.spawn(async move {
            let _counted = counted;
            act(&*work, piece, place).await;
        });
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
                    if let Err(error) = done {
                        // What it had claimed comes back when the claim ends.
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "a piece of work on a cluster broke off"
                        );
                    }
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

    /// Whether half of the places are free, so that a claim is worth its queries.
    fn has_room_again(&self, due: &DueWork) -> bool {
        let places = self.places.get(due);
        let free = places.map_or(0, |places| places.available_permits());
        !self.resting.contains_key(due) && 2 * free >= self.work.places(due.tried)
    }
}

async fn act<W: Work>(work: &W, piece: W::Piece, place: Option<OwnedSemaphorePermit>) {
    let mut acting = pin!(work.act(piece));
    if timeout(PLACE_FOR, &mut acting).await.is_err() {
        drop(place);
        acting.await;
    }
}

/// Warns that the store did not do what was asked.
pub(crate) fn tell_store(error: &StoreError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
