//! How often a key mints for a namespace, and who comes next (contract X8).

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use remotegpu_primitives::{ApiKeyId, NamespaceId};

/// Pairs of key and namespace that have not minted for long enough are forgotten
/// each time so many mints were asked for.
const FORGET_EVERY: u64 = 1024;
/// Who is told when to come again is told so in whole seconds, and does not come on the dot:
/// for so long after its turn a place is kept.
const KEPT_FOR: Duration = Duration::from_millis(2_500);
/// A plugin has five seconds (contract X4): whose turn is further away is told so, and has no
/// place.
const KEPT_AHEAD: Duration = Duration::from_secs(4);
/// So many of those that a place was kept for may stay away, as whoever presses Ctrl-C does. One
/// who comes makes up for one who did not.
const MAY_STAY_AWAY: u32 = 3;
/// After more of them none is kept for so long: who asks without end, each time under another
/// name, must not keep himself and others from all turns.
const DISTRUST: Duration = Duration::from_secs(5);
/// Nobody is told to wait for longer.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

type Pair = (ApiKeyId, NamespaceId);

/// Counts mints by key and namespace. Each instance counts its own: a count in
/// the database would cost every mint one write more, and what is to be protected
/// is the cluster, from loops that ask without end.
///
/// Who gives his request a name and is refused gets a place in a line under it, and is told when
/// its turn comes. Who comes again under that name finds it: without, all who are new would take
/// the turns of those who wait, and with more than a few programs at once some would never get
/// one. Who gives no name is told after how many others to come, and takes what is left.
pub(crate) struct MintRate {
    every: Duration,
    /// How long it takes a whole burst to come back.
    burst: Duration,
    lines: Mutex<HashMap<Pair, Line>>,
    names: RandomState,
    asked: AtomicU64,
    refused: AtomicU64,
}

struct Line {
    /// When the whole burst will have come back.
    rested_at: Instant,
    /// Who waits, the next first.
    places: VecDeque<Place>,
    /// The last turn that was told to somebody without a name.
    last_told: Instant,
    stayed_away: u32,
    trusted_from: Instant,
}

struct Place {
    name: u64,
    turn: Instant,
}

impl MintRate {
    pub(crate) fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let every = (Duration::from_secs(1) / per_second.get()).max(Duration::from_nanos(1));
        Self {
            every,
            burst: every.saturating_mul(burst.get()),
            lines: Mutex::default(),
            names: RandomState::new(),
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts one mint, or says how long to wait for it. To be asked for
    /// pairs that may mint only: each is remembered for as long as it takes its
    /// burst to come back. `name` is what the client calls its request.
    pub(crate) fn check(
        &self,
        key: ApiKeyId,
        namespace: NamespaceId,
        name: Option<&str>,
        now: Instant,
    ) -> Result<(), time::Duration> {
        let mut lines = self.lines();
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            lines.retain(|_, line| line.is_known(now));
            lines.shrink_to_fit();
        }
        let line = lines.entry((key, namespace)).or_insert_with(|| Line {
            rested_at: now,
            places: VecDeque::new(),
            last_told: now,
            stayed_away: 0,
            trusted_from: now,
        });
        let name = name.map(|name| self.names.hash_one(name));
        line.enter(self, name, now).map_err(|wait| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            wait.try_into().unwrap_or(time::Duration::SECOND)
        })
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Pair, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn enter(&mut self, rate: &MintRate, name: Option<u64>, now: Instant) -> Result<(), Duration> {
        while self
            .places
            .front()
            .is_some_and(|place| place.turn + KEPT_FOR < now)
        {
            self.places.pop_front();
            self.stayed_away += 1;
            if self.stayed_away > MAY_STAY_AWAY {
                self.stayed_away = 0;
                self.trusted_from = now + DISTRUST;
            }
        }
        self.rested_at = self.rested_at.max(now);
        let own = |place: &Place| Some(place.name) == name;
        let (ahead, place) = match self.places.iter().position(own) {
            // Those before it have their turns too, but may have stayed away.
            Some(place) if self.places[place].turn <= now => (0, Some(place)),
            Some(place) => (place, Some(place)),
            None => (self.places.len(), None),
        };
        let turn = self.turn_of(rate, ahead);
        if turn <= now {
            if let Some(place) = place {
                self.places.remove(place);
                self.stayed_away = self.stayed_away.saturating_sub(1);
            }
            self.rested_at += rate.every;
            if name.is_none() {
                // There was one at once: whoever was told to wait has not come back.
                self.last_told = now;
            }
            return Ok(());
        }
        let turn = match name {
            None => {
                self.last_told = turn.max(self.last_told + rate.every);
                self.last_told = self.last_told.min(now + LONGEST_WAIT);
                self.last_told
            }
            Some(name) => {
                let is_kept = turn <= now + KEPT_AHEAD && now >= self.trusted_from;
                if place.is_none() && is_kept {
                    self.places.push_back(Place { name, turn });
                }
                turn
            }
        };
        Err(turn - now)
    }

    /// When there is a mint for one more than so many.
    fn turn_of(&self, rate: &MintRate, ahead: usize) -> Instant {
        let ahead = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
        let turn = self.rested_at + rate.every.saturating_mul(ahead);
        turn.checked_sub(rate.burst).unwrap_or(self.rested_at)
    }

    fn is_known(&self, now: Instant) -> bool {
        let last = self.places.back();
        self.rested_at > now || last.is_some_and(|place| place.turn + KEPT_FOR >= now)
    }
}

impl fmt::Debug for MintRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MintRate")
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use time::OffsetDateTime;

    use super::*;

    fn rate() -> MintRate {
        let number = |number| NonZeroU32::new(number).unwrap();
        MintRate::new(number(10), number(50))
    }

    fn ids(seed: u64) -> (ApiKeyId, NamespaceId) {
        let (rng, now) = (&mut StdRng::seed_from_u64(seed), OffsetDateTime::UNIX_EPOCH);
        (
            ApiKeyId::generate(now, rng),
            NamespaceId::generate(now, rng),
        )
    }

    const TICK: Duration = Duration::from_millis(100);

    #[test]
    fn a_key_mints_fifty_times_at_once_and_then_ten_times_a_second() {
        // X8
        let (rate, (key, namespace)) = (rate(), ids(1));
        let mut now = Instant::now() + Duration::from_mins(1);
        for _ in 0..50 {
            rate.check(key, namespace, None, now).unwrap();
        }
        let wait = rate.check(key, namespace, None, now).unwrap_err();
        assert_eq!(wait, time::Duration::milliseconds(100));
        assert_eq!(rate.refused(), 1);
        for _ in 0..20 {
            now += TICK;
            rate.check(key, namespace, None, now).unwrap();
            rate.check(key, namespace, None, now).unwrap_err();
        }
        now += Duration::from_secs(5);
        for _ in 0..50 {
            rate.check(key, namespace, None, now).unwrap();
        }
        rate.check(key, namespace, None, now).unwrap_err();
    }

    #[test]
    fn who_is_refused_is_told_its_turn_and_finds_it() {
        // X8
        let (rate, (key, namespace)) = (rate(), ids(1));
        let now = Instant::now() + Duration::from_mins(1);
        let check = |name: &str, now| rate.check(key, namespace, Some(name), now);
        for number in 0..50 {
            check(&format!("first-{number}"), now).unwrap();
        }
        // It counts who waits already.
        for number in 1..=30 {
            let wait = check(&format!("waits-{number}"), now).unwrap_err();
            assert_eq!(wait, time::Duration::milliseconds(100) * number);
        }
        // Who asks before its turn has not two.
        let wait = check("waits-30", now + TICK).unwrap_err();
        assert_eq!(wait, time::Duration::milliseconds(2_900));
        // Who is new takes nobody's turn, however many there are.
        let later = now + Duration::from_secs(1);
        for number in 0..5 {
            let wait = check(&format!("new-{number}"), later).unwrap_err();
            assert_eq!(wait, time::Duration::milliseconds(2_100 + 100 * number));
        }
        for number in 1..=10 {
            check(&format!("waits-{number}"), later).unwrap();
        }
        check("waits-11", later).unwrap_err();
        // All the others, in whatever order they come.
        let last = now + Duration::from_millis(3_400);
        for number in (11..=30).rev() {
            check(&format!("waits-{number}"), last).unwrap();
        }
        for number in 0..4 {
            check(&format!("new-{number}"), last).unwrap();
        }
        check("new-4", last).unwrap_err();
    }

    #[test]
    fn who_gives_no_name_is_told_to_come_after_the_others() {
        // X8
        let (rate, (key, namespace)) = (rate(), ids(1));
        let now = Instant::now() + Duration::from_mins(1);
        let check = |name, now| rate.check(key, namespace, name, now);
        while check(Some("named"), now).is_ok() {}
        for number in 2..=30 {
            let wait = check(None, now).unwrap_err();
            assert_eq!(wait, time::Duration::milliseconds(100) * number);
        }
        // But he takes what is left by those who have a name.
        check(None, now + TICK).unwrap_err();
        check(Some("named"), now + TICK).unwrap();
        check(None, now + 2 * TICK).unwrap();
        for _ in 0..10_000 {
            let wait = check(None, now + 2 * TICK).unwrap_err();
            assert!(wait <= time::Duration::MINUTE);
        }
        check(None, now + 3 * TICK).unwrap();
        // Those who were told to wait have not come back: nobody waits for them.
        let wait = check(None, now + 3 * TICK).unwrap_err();
        assert_eq!(wait, time::Duration::milliseconds(100));
    }

    #[test]
    fn who_stays_away_keeps_nobody_waiting() {
        // X8
        let (rate, (key, namespace)) = (rate(), ids(1));
        let begin = Instant::now() + Duration::from_mins(1);
        // Somebody who asks without end, and never under the same name.
        let minted = (0..30_000_u32).filter(|number| {
            let name = format!("loop-{number}");
            let now = begin + Duration::from_millis(1) * *number;
            rate.check(key, namespace, Some(&name), now).is_ok()
        });
        // In half a minute he gets what there was, but for what was kept for him in vain.
        let minted = minted.count();
        assert!((200..=350).contains(&minted), "{minted}");
        // Those of four seconds, and those whose turn was two and a half ago at the most.
        assert!(rate.lines()[&(key, namespace)].places.len() <= 66);
    }

    #[test]
    fn one_who_stays_away_costs_nobody_else_a_place() {
        // X8
        let (rate, (key, namespace)) = (rate(), ids(1));
        let check = |name: &str, now| rate.check(key, namespace, Some(name), now);
        let now = Instant::now() + Duration::from_mins(1);
        while check("goes away", now).is_ok() {}
        let later = now + TICK + KEPT_FOR + TICK;
        let taken = (0..50).take_while(|number| check(&format!("new-{number}"), later).is_ok());
        let next = format!("new-{}", taken.count());
        check("newer", later + TICK).unwrap_err();
        check(&next, later + TICK).unwrap();
    }

    #[test]
    fn another_key_and_another_namespace_are_counted_apart() {
        // X8
        let (rate, now) = (rate(), Instant::now());
        let ((key, namespace), (other_key, other_namespace)) = (ids(1), ids(2));
        while rate.check(key, namespace, None, now).is_ok() {}
        rate.check(other_key, namespace, None, now).unwrap();
        rate.check(key, other_namespace, None, now).unwrap();
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let (rate, mut now) = (rate(), Instant::now());
        for seed in 0..20 * FORGET_EVERY {
            let (key, namespace) = ids(seed);
            rate.check(key, namespace, None, now).unwrap();
            now += Duration::from_millis(10);
        }
        // A pair is remembered for the tenth of a second that its one mint takes to
        // come back, and until the next time that such pairs are looked for.
        assert!(rate.lines().len() <= usize::try_from(FORGET_EVERY).unwrap() + 10);
    }

    #[test]
    fn a_rate_beyond_measure_refuses_nobody() {
        let rate = MintRate::new(NonZeroU32::MAX, NonZeroU32::MAX);
        let ((key, namespace), now) = (ids(1), Instant::now());
        for _ in 0..10_000 {
            rate.check(key, namespace, None, now).unwrap();
        }
    }
}
