//! Whether a cluster is up: what its last probe has shown, and nothing else (contract
//! R10). What goes wrong with any other request is a reason to probe, and no verdict: it
//! may be the matter of one object.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use crate::request::Fault;

/// How often a cluster is probed at the most.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How rarely at the least while it is down: whoever asks meanwhile is refused, and ends
/// of credentials wait.
const PROBE_WHILE_DOWN: Duration = Duration::from_secs(5);
/// How long a request that has failed waits for the probe to say whether the cluster is
/// down: long enough for one that answers at once, and not beyond the time that an act
/// has.
const VERDICT_WITHIN: Duration = Duration::from_millis(500);

/// What is known of a cluster's health.
#[derive(Debug)]
pub(crate) struct Health {
    verdict: watch::Sender<Option<Verdict>>,
    stage: Mutex<Stage>,
}

/// What a probe has shown.
#[derive(Debug, Clone)]
struct Verdict {
    /// Why the cluster counts as down; nothing where it is up.
    down: Option<Arc<Fault>>,
    at: Instant,
    /// Since when the probes have shown the same.
    since: Instant,
}

impl Verdict {
    /// When the next probe may begin. After a cluster has gone down it is looked at
    /// again soon, and less and less often: each pause is as long as it has been down.
    fn next(&self) -> Instant {
        let pause = match self.down {
            None => PROBE_EVERY,
            Some(_) => (self.at - self.since).clamp(PROBE_EVERY, PROBE_WHILE_DOWN),
        };
        self.at + pause
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// A probe is going to begin.
    Waiting,
    /// A probe has begun.
    Asking,
}

/// The one probe of its time; dropped half done it says nothing about the cluster.
#[derive(Debug)]
pub(crate) struct Probe {
    health: Arc<Health>,
    /// How long it has to wait before it begins.
    pub(crate) wait: Duration,
    is_over: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            verdict: watch::Sender::new(None),
            stage: Mutex::new(Stage::Idle),
        }
    }
}

impl Health {
    /// Whether the last probe has found the cluster up; nothing before the first one.
    pub(crate) fn is_up(&self) -> Option<bool> {
        let verdict = self.verdict.borrow();
        verdict.as_ref().map(|verdict| verdict.down.is_none())
    }

    /// Why the cluster is down, where it is.
    pub(crate) fn down(&self) -> Option<Arc<Fault>> {
        let verdict = self.verdict.borrow();
        verdict.as_ref().and_then(|verdict| verdict.down.clone())
    }

    /// How long whoever watches the cluster may wait before the next look.
    pub(crate) fn next_look(&self) -> Duration {
        let verdict = self.verdict.borrow();
        match verdict.as_ref().filter(|verdict| verdict.down.is_some()) {
            None => PROBE_WHILE_DOWN,
            Some(verdict) => verdict.next().saturating_duration_since(Instant::now()),
        }
    }

    /// Leave to probe, unless somebody else does or is about to.
    pub(crate) fn probe(self: &Arc<Self>) -> Option<Probe> {
        let mut stage = self.stage();
        if *stage != Stage::Idle {
            return None;
        }
        let next = self.verdict.borrow().as_ref().map(Verdict::next);
        let now = Instant::now();
        let wait = next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        *stage = if wait.is_zero() {
            Stage::Asking
        } else {
            Stage::Waiting
        };
        Some(Probe {
            health: Arc::clone(self),
            wait,
            is_over: false,
        })
    }

    /// The same, where the time for it has come.
    pub(crate) fn probe_if_due(self: &Arc<Self>) -> Option<Probe> {
        let next = self.verdict.borrow().as_ref().map(Verdict::next);
        let due = next.is_none_or(|next| next <= Instant::now());
        due.then(|| self.probe()).flatten()
    }

    /// Waits for the probe that is under way, if one is: at most so long.
    pub(crate) async fn told_within(&self, longest: Duration) {
        // A probe ends and tells under the same lock, so that none is missed here.
        let told = {
            let stage = self.stage();
            (*stage == Stage::Asking).then(|| self.verdict.subscribe())
        };
        if let Some(mut told) = told {
            // It cannot be closed: its sender is this.
            let _ = timeout(longest, told.changed()).await;
        }
    }

    /// Why the cluster is down, as the probe says that was begun for a failure.
    pub(crate) async fn down_after_failure(&self) -> Option<Arc<Fault>> {
        if self.down().is_none() {
            self.told_within(VERDICT_WITHIN).await;
        }
        self.down()
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // One value, written whole.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    /// The probe begins now.
    pub(crate) fn begin(&self) {
        *self.health.stage() = Stage::Asking;
    }

    /// What it has shown: why the cluster is down, or nothing where it is up. Answers
    /// whether that is another thing than before.
    pub(crate) fn shows(mut self, down: Option<Fault>) -> bool {
        let at = Instant::now();
        let down = down.map(Arc::new);
        let before = self.health.verdict.borrow().clone();
        let same = before.filter(|before| before.down.is_some() == down.is_some());
        let changed = same.is_none();
        let since = same.map_or(at, |before| before.since);
        let verdict = Verdict { down, at, since };
        let mut stage = self.health.stage();
        self.health.verdict.send_replace(Some(verdict));
        *stage = Stage::Idle;
        drop(stage);
        self.is_over = true;
        changed
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Once it has told, the stage is the next one's.
        if !self.is_over {
            *self.health.stage() = Stage::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn health() -> Arc<Health> {
        Arc::new(Health::default())
    }

    fn shows(health: &Arc<Health>, up: bool) -> bool {
        let probe = health.probe().unwrap();
        probe.shows((!up).then_some(Fault::Slow))
    }

    /// Moves the last verdict back in time.
    fn age(health: &Health, by: Duration, down_for: Duration) {
        health.verdict.send_modify(|verdict| {
            let verdict = verdict.as_mut().unwrap();
            verdict.at = Instant::now().checked_sub(by).unwrap();
            verdict.since = verdict.at.checked_sub(down_for).unwrap();
        });
    }

    #[test]
    fn nothing_is_known_before_the_first_probe_and_the_last_one_counts() {
        // R10
        let health = health();
        assert_eq!(health.is_up(), None);
        for (up, changed) in [(true, true), (true, false), (false, true), (true, true)] {
            assert_eq!(shows(&health, up), changed);
            assert_eq!(health.is_up(), Some(up));
            assert_eq!(health.down().is_some(), !up);
        }
    }

    #[test]
    fn one_probes_at_a_time_and_not_more_than_once_a_second() {
        // R10
        let health = health();
        let probe = health.probe().unwrap();
        assert!(probe.wait.is_zero() && health.probe().is_none());
        // One that is given up says nothing, and keeps nobody from the next.
        drop(probe);
        assert_eq!(health.is_up(), None);
        let began = Instant::now();
        shows(&health, true);
        assert!(health.probe_if_due().is_none());
        let soon = health.probe().unwrap();
        assert!(soon.wait + began.elapsed() >= PROBE_EVERY && soon.wait <= PROBE_EVERY);
        drop(soon);
        age(&health, PROBE_EVERY, Duration::ZERO);
        assert!(health.probe_if_due().unwrap().wait.is_zero());
    }

    #[test]
    fn what_is_down_is_probed_soon_at_first_and_every_five_seconds_later() {
        // R10
        let health = health();
        shows(&health, false);
        for (down_for, pause) in [(0, 1), (1, 1), (3, 3), (5, 5), (600, 5)] {
            let began = Instant::now();
            age(&health, Duration::ZERO, Duration::from_secs(down_for));
            let wait = health.probe().unwrap().wait;
            let pause = Duration::from_secs(pause);
            assert!(wait <= pause && wait + began.elapsed() >= pause, "{wait:?}");
            assert!(health.next_look() <= pause);
        }
    }

    #[tokio::test]
    async fn a_failure_waits_for_the_probe_that_has_begun_and_for_no_other() {
        let health = health();
        let probe = health.probe().unwrap();
        let waiting = Arc::clone(&health);
        let waiting = tokio::spawn(async move { waiting.down_after_failure().await });
        tokio::task::yield_now().await;
        probe.shows(Some(Fault::Slow));
        assert!(waiting.await.unwrap().is_some());
        shows_up(&health);
        // The next one has to wait first.
        let _next = health.probe().unwrap();
        let told = health.down_after_failure().now_or_never();
        assert!(told.unwrap().is_none());
    }

    fn shows_up(health: &Arc<Health>) {
        age(health, PROBE_WHILE_DOWN, Duration::ZERO);
        shows(health, true);
    }
}
