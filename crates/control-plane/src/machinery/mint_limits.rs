//! How many credentials are minted at the same time, and how often for one key
//! (contract X8).

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{AccountId, NamespaceId};

use crate::{
    KeyHolder, Load, MintExecCredentialError, Overloaded, QueuedLimit,
    machinery::{
        fair_limit::{FairLimit, FairTurn, Room},
        mint_rate::MintRate,
    },
};

/// Whatever the cluster does, nobody waits for a turn for longer: a cluster that
/// hangs takes four seconds to be given up, and five is all that an answer may
/// take (contract C7).
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What bounds the minting of one instance. Each cluster has places of its own:
/// one that hangs holds each mint for seconds, and must not take the others' too. No
/// account has more than half of a cluster's: with many keys and namespaces it
/// would keep the others from minting, however well each key behaves.
#[derive(Debug)]
pub struct MintLimits {
    clusters: Vec<(ClusterName, FairLimit<AccountId>)>,
    rate: MintRate,
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
            rate: MintRate::new(per_second, burst),
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

    /// Counts one mint of the key, or says how long to wait for it.
    pub(crate) fn check_rate(
        &self,
        holder: &KeyHolder,
        namespace: NamespaceId,
    ) -> Result<(), MintExecCredentialError> {
        let key = holder.presented().key.id;
        let name = holder.request_name();
        let rated = self.rate.check(key, namespace, name, Instant::now());
        rated.map_err(MintExecCredentialError::RateLimited)
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
        self.rate.refused()
    }
}

#[cfg(test)]
mod tests {
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
}
