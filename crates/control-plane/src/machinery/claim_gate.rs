//! In which clusters this instance may do anything (contract R9).

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use remotegpu_namespaces::{ClaimState, ClusterName};

/// What was found out last about each cluster's claim. It is closed until somebody has
/// looked, and to ask it costs next to nothing: each mint does.
#[derive(Debug)]
pub struct ClaimGate(HashMap<ClusterName, AtomicUsize>);

impl ClaimGate {
    /// A gate for these clusters; nothing is known of them yet.
    pub fn new(clusters: impl IntoIterator<Item = ClusterName>) -> Self {
        let unknown = || AtomicUsize::new(number(ClaimState::Unknown));
        Self(clusters.into_iter().map(|name| (name, unknown())).collect())
    }

    /// What is known of the cluster.
    pub fn state(&self, cluster: &ClusterName) -> ClaimState {
        let state = self
            .0
            .get(cluster)
            .map(|state| state.load(Ordering::Acquire));
        let known = state.and_then(|state| ClaimState::ALL.get(state));
        known.copied().unwrap_or(ClaimState::Unknown)
    }

    /// Notes what was found out, and tells the log where it is something else than
    /// before.
    pub fn note(&self, cluster: &ClusterName, state: ClaimState) {
        let Some(known) = self.0.get(cluster) else {
            return;
        };
        let before = known.load(Ordering::Acquire);
        // A right that is taken away is no leave to act where another database does.
        let closed = [
            ClaimState::Foreign,
            ClaimState::Behind,
            ClaimState::ClusterBehind,
            ClaimState::OtherCluster,
        ];
        if state == ClaimState::NotPermitted && closed.map(number).contains(&before) {
            return;
        }
        if known.swap(number(state), Ordering::AcqRel) == number(state) {
            return;
        }
        let (word, sentence) = (state.as_str(), state.sentence());
        if state == ClaimState::Held {
            tracing::info!(%cluster, claim = word, "{sentence}");
        } else {
            tracing::warn!(%cluster, claim = word, "{sentence}");
        }
    }
}

/// Where the state stands in the list of all of them.
fn number(state: ClaimState) -> usize {
    let mut all = ClaimState::ALL.iter();
    all.position(|one| *one == state).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_closed_until_somebody_has_looked() {
        // R9
        let name = |text: &str| ClusterName::parse(text).unwrap();
        let gate = ClaimGate::new([name("eu")]);
        assert_eq!(gate.state(&name("eu")), ClaimState::Unknown);
        for state in ClaimState::ALL {
            gate.note(&name("eu"), ClaimState::Held);
            gate.note(&name("eu"), state);
            assert_eq!(gate.state(&name("eu")), state);
        }
        // What is another's stays closed where the right to ask is gone.
        gate.note(&name("eu"), ClaimState::Foreign);
        gate.note(&name("eu"), ClaimState::NotPermitted);
        assert_eq!(gate.state(&name("eu")), ClaimState::Foreign);
        gate.note(&name("us"), ClaimState::Held);
        assert_eq!(gate.state(&name("us")), ClaimState::Unknown);
    }
}
