//! Each cluster is swept by one instance at a time (contract R10): whoever holds the lease
//! on it. Ends of identities and work on namespaces wait for no lease.

use std::{sync::Arc, time::Duration};

use remotegpu_namespaces::{ClusterName, SweepLeaseRepository};
use remotegpu_primitives::{InstanceId, StoreError};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::machinery::work::tell_store;

/// How long a lease lasts. With the time between two tries, the lease of an instance that
/// has died is another's within ten seconds.
const LEASE: Duration = Duration::from_secs(7);
/// How often it is prolonged: twice may fail.
const PROLONG_EVERY: Duration = Duration::from_secs(2);
/// How often those who do not hold it try to take it.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long the store may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long before the end of its lease a holder stops sweeping, so that nobody begins
/// while it is still at it.
const STOP_BEFORE: Duration = Duration::from_millis(500);

/// Who sweeps what.
#[derive(Clone)]
pub(crate) struct Sweeper {
    pub(crate) leases: Arc<dyn SweepLeaseRepository>,
    pub(crate) holder: InstanceId,
    pub(crate) cluster: ClusterName,
}

/// What came of asking for a lease.
enum Held {
    /// It is held until then.
    Until(Instant),
    /// Another instance holds it.
    ByAnother,
    /// The store has not said.
    Unknown,
}

impl Sweeper {
    /// Waits until this instance holds the lease, and tells until when it surely does.
    pub(crate) async fn turn(&self) -> Instant {
        loop {
            if let Held::Until(until) = self.hold().await {
                return until;
            }
            sleep(TRY_EVERY).await;
        }
    }

    /// Prolongs the lease for as long as that goes well, and ends before the lease does.
    pub(crate) async fn keep(&self, mut until: Instant) {
        let mut next = Instant::now() + PROLONG_EVERY;
        while next < until {
            sleep_until(next).await;
            match timeout_at(until, self.hold()).await {
                Ok(Held::Until(later)) => until = later,
                Ok(Held::Unknown) => {}
                Ok(Held::ByAnother) | Err(_) => return,
            }
            next = Instant::now() + PROLONG_EVERY;
        }
        sleep_until(until).await;
    }

    /// Takes or prolongs the lease. How long it is held is reckoned by this machine's own
    /// clock, from before the store was asked.
    async fn hold(&self) -> Held {
        let asked = Instant::now();
        let held = self.leases.hold(&self.cluster, self.holder, LEASE);
        match timeout(ANSWER_WITHIN, held).await {
            Ok(Ok(true)) => Held::Until(asked + LEASE - STOP_BEFORE),
            Ok(Ok(false)) => Held::ByAnother,
            Ok(Err(error)) => {
                tell_store(&error, "the lease on sweeping a cluster was not looked for");
                Held::Unknown
            }
            // If it was taken it ends by itself.
            Err(_) => Held::Unknown,
        }
    }
}

/// Gives up what an instance sweeps, when it ends: another need not wait for its leases
/// to.
pub async fn release_sweeps(
    leases: &dyn SweepLeaseRepository,
    holder: InstanceId,
) -> Result<(), StoreError> {
    leases.release(holder).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use remotegpu_test_support::stopwatch::Stopwatch;
    use uuid::Uuid;

    use super::*;

    /// Answers the first time that the lease is held, and then as it is told.
    #[derive(Default)]
    struct Store {
        asked: AtomicUsize,
        then: Option<bool>,
    }

    #[async_trait]
    impl SweepLeaseRepository for Store {
        async fn hold(
            &self,
            _: &ClusterName,
            _: InstanceId,
            _: Duration,
        ) -> Result<bool, StoreError> {
            match (self.asked.fetch_add(1, Ordering::SeqCst), self.then) {
                (0, _) => Ok(true),
                (_, Some(held)) => Ok(held),
                (_, None) => Err(StoreError::Unavailable(None)),
            }
        }

        async fn release(&self, _: InstanceId) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// How long a turn lasts at such a store, unless it is longer than two leases, and how
    /// often that was asked.
    async fn turn_at(then: Option<bool>) -> (Option<Duration>, usize) {
        let leases = Arc::new(Store {
            then,
            ..Store::default()
        });
        let sweeper = Sweeper {
            leases: leases.clone(),
            holder: InstanceId::from_uuid(Uuid::nil()),
            cluster: ClusterName::from_stored("test".to_owned()),
        };
        let watch = Stopwatch::start();
        let until = sweeper.turn().await;
        let ended = timeout(2 * LEASE, sweeper.keep(until)).await;
        let took = ended.ok().map(|()| watch.elapsed());
        (took, leases.asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_holder_stops_before_its_lease_ends_and_at_once_when_it_is_anothers() {
        // R10
        let (silent, anothers, own) =
            tokio::join!(turn_at(None), turn_at(Some(false)), turn_at(Some(true)));
        assert!(silent.0.is_some_and(|took| took < LEASE), "{silent:?}");
        assert!(silent.1 >= 3, "{silent:?}");
        assert_eq!(anothers.1, 2);
        let soon = anothers.0.is_some_and(|took| took < 2 * PROLONG_EVERY);
        assert!(soon, "{anothers:?}");
        assert_eq!(own.0, None);
    }
}
