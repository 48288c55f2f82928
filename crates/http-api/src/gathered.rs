//! What others count and the metrics tell.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_process::Collector;
use remotegpu_control_plane::{
    AuditBuffer, KeyCache, KeyCacheCounts, Load, ReconcilerCounts, SweepCounts,
};
use remotegpu_edge::RequestMetrics;
use remotegpu_namespaces::{Backlog, ClaimState, ClusterName, ClusterStatus, NamespaceStatus};
use time::OffsetDateTime;

use crate::Api;

/// How long the metrics wait for the store: they are asked for most when it hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// All of it at one moment.
pub(crate) struct Gathered<'a> {
    loads: Vec<(&'static str, Load)>,
    mints_rate_limited: u64,
    key_cache: &'a KeyCache,
    sweeps: &'a SweepCounts,
    work: &'a ReconcilerCounts,
    audit: &'a AuditBuffer,
    clusters: Vec<ClusterHealth>,
    restored: bool,
    /// Absent where the store did not tell.
    backlog: Option<Backlog>,
    now: OffsetDateTime,
}

struct ClusterHealth {
    name: ClusterName,
    status: ClusterStatus,
    given_up: bool,
    claim: ClaimState,
}

impl<'a> Gathered<'a> {
    pub(crate) async fn now(api: &'a Api) -> Self {
        let (ports, now) = (&api.ports, api.now());
        let asked = tokio::time::timeout(PATIENCE, ports.backlog.backlog(now)).await;
        let health = |name: ClusterName| ClusterHealth {
            status: ports.clusters.status(&name),
            given_up: ports.clusters.is_given_up(&name),
            claim: ports.clusters.claim(&name),
            name,
        };
        let clusters = ports.clusters.list().into_iter();
        Self {
            loads: api.edge.loads().into(),
            mints_rate_limited: ports.mint_limits.rate_limited(),
            key_cache: &ports.key_cache,
            sweeps: &ports.sweeps,
            work: &ports.work,
            audit: &ports.audit,
            clusters: clusters.map(|cluster| health(cluster.name)).collect(),
            restored: api.edge.is_restored(),
            backlog: asked.ok().and_then(Result::ok),
            now,
        }
    }

    /// All that is counted, in Prometheus' text format.
    pub(crate) fn render(&self, metrics: &RequestMetrics) -> String {
        metrics.with_recorder(|| {
            self.record();
            Collector::default().collect();
        });
        metrics.render()
    }

    fn record(&self) {
        record_build();
        for (class, load) in &self.loads {
            gauge!("remotegpu_in_flight", "class" => *class).set(number(load.in_flight));
            counter!("remotegpu_shed_total", "class" => *class).absolute(load.refused);
        }
        counter!("remotegpu_mints_rate_limited_total").absolute(self.mints_rate_limited);
        let KeyCacheCounts { hits, misses } = self.key_cache.counts();
        counter!("remotegpu_api_key_cache_hits_total").absolute(hits);
        counter!("remotegpu_api_key_cache_misses_total").absolute(misses);
        gauge!("remotegpu_api_key_cache_trusted").set(truth(self.key_cache.is_trusted()));
        counter!("remotegpu_namespaces_repaired_total").absolute(self.sweeps.repaired());
        counter!("remotegpu_namespaces_unknown_removed_total").absolute(self.sweeps.removed());
        counter!("remotegpu_identities_bound_again_total").absolute(self.sweeps.identities_bound());
        counter!("remotegpu_identities_unknown_removed_total")
            .absolute(self.sweeps.identities_removed());
        for (work, counts) in self.work.all() {
            gauge!("remotegpu_work_under_way", "work" => work).set(number(counts.under_way()));
            counter!("remotegpu_work_done_total", "work" => work).absolute(counts.done());
            counter!("remotegpu_work_failed_total", "work" => work).absolute(counts.failed());
        }
        counter!("remotegpu_audit_events_dropped_total").absolute(self.audit.dropped());
        gauge!("remotegpu_audit_events_waiting").set(number(self.audit.waiting()));
        gauge!("remotegpu_database_restored").set(truth(self.restored));
        for cluster in &self.clusters {
            let name = cluster.name.as_str().to_owned();
            let answers = match cluster.status {
                ClusterStatus::Unknown => f64::NAN,
                ClusterStatus::Available(_) => 1.0,
                ClusterStatus::Unavailable => 0.0,
            };
            gauge!("remotegpu_cluster_answers", "cluster" => name.clone()).set(answers);
            for state in ClaimState::ALL {
                let labels = [
                    ("cluster", name.clone()),
                    ("state", state.as_str().to_owned()),
                ];
                let holds = truth(cluster.claim == state);
                gauge!("remotegpu_cluster_claim", &labels).set(holds);
            }
            gauge!("remotegpu_cluster_breaker_open", "cluster" => name)
                .set(truth(cluster.given_up));
        }
        self.record_backlog();
    }

    /// What is not known is not a number: the last one that was would be a lie.
    fn record_backlog(&self) {
        let known = self.backlog.as_ref();
        for status in NamespaceStatus::ALL {
            if status == NamespaceStatus::Active {
                continue;
            }
            let count = known.map_or(f64::NAN, |backlog| {
                let found = backlog.namespaces.iter().find(|(of, _)| *of == status);
                number(found.map_or(0, |(_, count)| *count))
            });
            gauge!("remotegpu_namespaces_unsettled", "status" => status.as_str()).set(count);
        }
        let waiting = known.map_or(f64::NAN, |backlog| number(backlog.ended_identities));
        gauge!("remotegpu_identities_ended_waiting").set(waiting);
        let oldest = known.map_or(f64::NAN, |backlog| {
            let end = backlog.oldest_end.unwrap_or(self.now);
            (self.now - end).as_seconds_f64().max(0.0)
        });
        gauge!("remotegpu_identities_ended_oldest_seconds").set(oldest);
        for ClusterHealth { name, .. } in &self.clusters {
            let held = known.map_or(f64::NAN, |backlog| {
                let found = backlog.held.iter().find(|(of, _)| of == name);
                number(found.map_or(0, |(_, count)| *count))
            });
            let name = name.as_str().to_owned();
            gauge!("remotegpu_namespaces_held", "cluster" => name).set(held);
        }
    }
}

/// Which build this is. Who builds it from a checkout says the commit, in the variable
/// `REMOTEGPU_COMMIT` of the compiler.
fn record_build() {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        (
            "commit",
            option_env!("REMOTEGPU_COMMIT").unwrap_or("unknown"),
        ),
    ];
    gauge!("remotegpu_build_info", &labels).set(1.0);
}

/// Gauges hold fractions, which are exact up to here and beyond.
fn number(count: impl TryInto<u32>) -> f64 {
    count.try_into().unwrap_or(u32::MAX).into()
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Says to the recorder of this scope what each of them is.
pub(crate) fn describe() {
    Collector::default().describe();
    describe_counters();
    describe_gauges();
}

fn describe_counters() {
    for (name, what) in [
        (
            "remotegpu_api_key_cache_hits_total",
            "API keys that were known without a query.",
        ),
        (
            "remotegpu_api_key_cache_misses_total",
            "API keys that the database was asked for.",
        ),
        (
            "remotegpu_shed_total",
            "What was refused because too much was under way, by class of work.",
        ),
        (
            "remotegpu_mints_rate_limited_total",
            "Mints that were refused because their key had minted too often.",
        ),
        (
            "remotegpu_namespaces_repaired_total",
            "Namespaces that were changed in their cluster and put right.",
        ),
        (
            "remotegpu_namespaces_unknown_removed_total",
            "Namespaces that had been deleted, stood again and were removed from their cluster.",
        ),
        (
            "remotegpu_identities_bound_again_total",
            "Cluster identities that had lost their binding and got it back.",
        ),
        (
            "remotegpu_identities_unknown_removed_total",
            "Cluster identities that no row knew and that were removed.",
        ),
        (
            "remotegpu_work_done_total",
            "Pieces of work on the clusters that were finished, by kind of work.",
        ),
        (
            "remotegpu_work_failed_total",
            "Attempts at work on the clusters that failed, by kind of work.",
        ),
        (
            "remotegpu_audit_events_dropped_total",
            "Audit events that were lost because too many waited for the database.",
        ),
    ] {
        describe_counter!(name, what);
    }
}

fn describe_gauges() {
    for (name, what) in [
        ("remotegpu_build_info", "1, with the build as labels."),
        (
            "remotegpu_api_key_cache_trusted",
            "Whether changes of keys are heard of; 0 asks the database every time.",
        ),
        (
            "remotegpu_in_flight",
            "What is at work or waits for its turn, by class of work.",
        ),
        (
            "remotegpu_work_under_way",
            "Pieces of work on the clusters that this instance has begun, by kind of work.",
        ),
        (
            "remotegpu_audit_events_waiting",
            "Audit events of this instance that are not written yet.",
        ),
        (
            "remotegpu_database_restored",
            "Whether the database was restored under this instance, which has to be restarted.",
        ),
        (
            "remotegpu_cluster_answers",
            "Whether a cluster is up, as its last probe has shown.",
        ),
        (
            "remotegpu_cluster_breaker_open",
            "Whether a cluster is down, so that nothing but its probe is asked.",
        ),
        (
            "remotegpu_namespaces_unsettled",
            "Namespaces that their cluster has to make or remove, by status.",
        ),
        (
            "remotegpu_cluster_claim",
            "1 for what holds of a cluster's claim: held where this database acts there.",
        ),
        (
            "remotegpu_namespaces_held",
            "Namespaces that stand under our labels without a row, and wait for the operator.",
        ),
        (
            "remotegpu_identities_ended_waiting",
            "Cluster identities that have ended and of which something still stands in their cluster.",
        ),
        (
            "remotegpu_identities_ended_oldest_seconds",
            "How long ago the first of these ended whose service account still stands.",
        ),
    ] {
        describe_gauge!(name, what);
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_the_store_does_not_tell_is_not_a_number() {
        // R4
        let metrics = RequestMetrics::default();
        let load = Load {
            in_flight: 2,
            refused: 5,
        };
        let (cache, sweeps, audit) = (
            KeyCache::new(0),
            SweepCounts::default(),
            AuditBuffer::default(),
        );
        let work = ReconcilerCounts::default();
        let mut gathered = Gathered {
            work: &work,
            restored: false,
            loads: vec![("mint", load)],
            mints_rate_limited: 7,
            key_cache: &cache,
            sweeps: &sweeps,
            audit: &audit,
            clusters: Vec::new(),
            backlog: None,
            now: datetime!(2026-01-01 00:00 UTC),
        };
        let text = gathered.render(&metrics);
        for line in [
            r#"remotegpu_in_flight{class="mint"} 2"#,
            r#"remotegpu_shed_total{class="mint"} 5"#,
            "remotegpu_mints_rate_limited_total 7",
            r#"remotegpu_work_failed_total{work="identity_ends"} 0"#,
            r#"remotegpu_work_under_way{work="namespaces"} 0"#,
            r#"remotegpu_namespaces_unsettled{status="deleting"} NaN"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        gathered.backlog = Some(Backlog {
            namespaces: vec![(NamespaceStatus::Failed, 3)],
            ended_identities: 2,
            oldest_end: Some(gathered.now - time::Duration::milliseconds(1500)),
            held: Vec::new(),
        });
        let known = gathered.render(&metrics);
        for line in [
            r#"remotegpu_namespaces_unsettled{status="failed"} 3"#,
            r#"remotegpu_namespaces_unsettled{status="deleting"} 0"#,
            "remotegpu_identities_ended_waiting 2",
            "remotegpu_identities_ended_oldest_seconds 1.5",
        ] {
            assert!(known.contains(line), "{line} in {known}");
        }
    }
}
