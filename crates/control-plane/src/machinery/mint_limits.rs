//! How many credentials are minted at the same time, and how often for one key
//! (contract X8).

use std::{
    fmt,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{AccountId, ApiKeyId, NamespaceId};

use crate::{
    Load, Overloaded, QueuedLimit,
    machinery::fair_limit::{FairLimit, FairTurn, Room},
};

/// Whatever the cluster does, nobody waits for a turn for longer: a cluster that
/// hangs takes four seconds to be given up, and five is all that an answer may
/// take (contract C7).
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// Pairs of key and namespace that have not minted for long enough are forgotten
/// each time so many mints were asked for.
const FORGET_EVERY: u64 = 1024;

/// What bounds the minting of one instance. Each cluster has places of its own:
/// one that hangs holds each mint for seconds, and must not take the others' too. No
/// account has more than half of a cluster's: with many keys and namespaces it
/// would keep the others from minting, however well each key behaves.
#[derive(Debug)]
pub struct MintLimits {
    clusters: Vec<(ClusterName, FairLimit<AccountId>)>,
    pub(crate) rate: MintRate<DefaultClock>,
}

/// The turn of one mint, given back when this is dropped.
#[derive(Debug)]
pub struct MintTurn {
    _turn: FairTurn<AccountId>,
}

impl MintLimits {
    /// For each cluster `at_once` mints at work and `waiting` in line, at most half
    /// of both (rounded up) of one account; for each key
    /// and namespace `per_second`, and `burst` at once after a rest.
    pub fn new(
        clusters: impl IntoIterator<Item = ClusterName>,
        at_once: usize,
        waiting: usize,
        per_second: NonZeroU32,
        burst: NonZeroU32,
    ) -> Self {
        let all = Room { at_once, waiting };
        let half = Room {
            at_once: at_once.div_ceil(2),
            waiting: waiting.div_ceil(2),
        };
        let limited = |name| (name, FairLimit::new(all, half, LONGEST_WAIT));
        Self {
            clusters: clusters.into_iter().map(limited).collect(),
            rate: MintRate::new(per_second, burst, DefaultClock::default()),
        }
    }

    /// Waits for a turn of the account with a cluster. One that is not configured
    /// needs none: it cannot be asked.
    ///
    /// # Errors
    /// [`Overloaded`]: at once when the line, or the account's half of it, is full,
    /// or when the wait was too long.
    pub async fn enter(
        &self,
        cluster: &ClusterName,
        account: AccountId,
    ) -> Result<Option<MintTurn>, Overloaded> {
        let Some((_, limit)) = self.clusters.iter().find(|(name, _)| name == cluster) else {
            return Ok(None);
        };
        let turn = limit.enter(account).await?;
        Ok(Some(MintTurn { _turn: turn }))
    }

    /// Whether somebody who came now, for whatever cluster, could at least wait.
    ///
    /// # Errors
    /// [`Overloaded`] when the lines of all clusters are full; it counts as a
    /// refusal.
    pub fn check(&self) -> Result<(), Overloaded> {
        let mut lines = self.clusters.iter().map(|(_, limit)| limit.whole());
        match self.clusters.first() {
            Some((_, first)) if !lines.any(QueuedLimit::has_room) => first.whole().check(),
            _ => Ok(()),
        }
    }

    /// What the limits of all clusters have seen together.
    pub fn load(&self) -> Load {
        let nothing = Load {
            in_flight: 0,
            refused: 0,
        };
        let loads = self.clusters.iter().map(|(_, limit)| limit.whole().load());
        loads.fold(nothing, |all, one| Load {
            in_flight: all.in_flight + one.in_flight,
            refused: all.refused + one.refused,
        })
    }

    /// How many mints were refused because their key had minted too often.
    pub fn rate_limited(&self) -> u64 {
        self.rate.refused.load(Ordering::Relaxed)
    }
}

type Pair = (ApiKeyId, NamespaceId);

/// Counts mints by key and namespace. Each instance counts its own: a count in
/// the database would cost every mint one write more, and what is to be protected
/// is the cluster, from loops that ask without end.
pub(crate) struct MintRate<C: Clock> {
    limiter: RateLimiter<Pair, HashMapStateStore<Pair>, C, NoOpMiddleware<C::Instant>>,
    asked: AtomicU64,
    refused: AtomicU64,
}

impl<C: Clock> MintRate<C> {
    fn new(per_second: NonZeroU32, burst: NonZeroU32, clock: C) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, clock),
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts one mint, or says how long to wait for the next. To be asked for
    /// pairs that may mint only: each is remembered for as long as it takes its
    /// burst to come back.
    pub(crate) fn check(
        &self,
        key: ApiKeyId,
        namespace: NamespaceId,
    ) -> Result<(), time::Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter
            .check_key(&(key, namespace))
            .map_err(|not_until| {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                wait.try_into().unwrap_or(time::Duration::SECOND)
            })
    }
}

impl<C: Clock> fmt::Debug for MintRate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MintRate")
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use rand::{SeedableRng, rngs::StdRng};
    use time::OffsetDateTime;

    use super::*;

    #[tokio::test]
    async fn a_cluster_that_hangs_takes_no_place_from_another() {
        // Section 10
        let name = |name| ClusterName::parse(name).unwrap();
        let (hangs, works) = (name("eu"), name("us"));
        let many = NonZeroU32::MAX;
        let limits = MintLimits::new([hangs.clone(), works.clone()], 1, 0, many, many);
        let (ada, eve) = (account(1), account(2));
        let _turn = limits.enter(&hangs, eve).await.unwrap().unwrap();
        assert!(limits.enter(&hangs, ada).await.is_err());
        // Whom a request is for is not known yet when it comes.
        assert!(limits.check().is_ok());
        let turn = limits.enter(&works, ada).await.unwrap().unwrap();
        assert!(limits.check().is_err());
        drop(turn);
        assert_eq!(
            limits.load(),
            Load {
                in_flight: 1,
                refused: 2
            }
        );
        assert!(limits.enter(&name("gone"), ada).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn one_account_takes_no_more_than_half_of_a_clusters_places() {
        // Section 10
        let cluster = ClusterName::parse("eu").unwrap();
        let limits = MintLimits::new([cluster.clone()], 4, 0, NonZeroU32::MAX, NonZeroU32::MAX);
        let (ada, eve) = (account(1), account(2));
        let mut turns = Vec::new();
        while let Ok(turn) = limits.enter(&cluster, eve).await {
            turns.push(turn);
        }
        assert_eq!(turns.len(), 2);
        for _ in 0..2 {
            turns.push(limits.enter(&cluster, ada).await.unwrap());
        }
        assert_eq!(
            limits.load(),
            Load {
                in_flight: 4,
                refused: 1
            }
        );
    }

    fn account(seed: u64) -> AccountId {
        AccountId::generate(OffsetDateTime::UNIX_EPOCH, &mut StdRng::seed_from_u64(seed))
    }

    fn rate() -> (MintRate<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let number = |number| NonZeroU32::new(number).unwrap();
        let rate = MintRate::new(number(10), number(50), clock.clone());
        (rate, clock)
    }

    fn ids(seed: u64) -> (ApiKeyId, NamespaceId) {
        let (rng, now) = (&mut StdRng::seed_from_u64(seed), OffsetDateTime::UNIX_EPOCH);
        (
            ApiKeyId::generate(now, rng),
            NamespaceId::generate(now, rng),
        )
    }

    #[test]
    fn a_key_mints_fifty_times_at_once_and_then_ten_times_a_second() {
        // X8
        let (rate, clock) = rate();
        let (key, namespace) = ids(1);
        for _ in 0..50 {
            rate.check(key, namespace).unwrap();
        }
        let wait = rate.check(key, namespace).unwrap_err();
        assert_eq!(wait, time::Duration::milliseconds(100));
        assert_eq!(rate.refused.load(Ordering::Relaxed), 1);
        for _ in 0..20 {
            clock.advance(Duration::from_millis(100));
            rate.check(key, namespace).unwrap();
            rate.check(key, namespace).unwrap_err();
        }
        clock.advance(Duration::from_secs(5));
        for _ in 0..50 {
            rate.check(key, namespace).unwrap();
        }
        rate.check(key, namespace).unwrap_err();
    }

    #[test]
    fn another_key_and_another_namespace_are_counted_apart() {
        // X8
        let (rate, _) = rate();
        let ((key, namespace), (other_key, other_namespace)) = (ids(1), ids(2));
        while rate.check(key, namespace).is_ok() {}
        rate.check(other_key, namespace).unwrap();
        rate.check(key, other_namespace).unwrap();
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let (rate, clock) = rate();
        for seed in 0..20 * FORGET_EVERY {
            let (key, namespace) = ids(seed);
            rate.check(key, namespace).unwrap();
            clock.advance(Duration::from_millis(10));
        }
        // A pair is remembered for the tenth of a second that its one mint takes to
        // come back, and until the next time that such pairs are looked for.
        assert!(rate.limiter.len() <= usize::try_from(FORGET_EVERY).unwrap() + 10);
    }
}
