//! Counters and durations of requests. The recorder is this API's own, so that
//! several can live in one process.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{
    error::ErrorCode,
    gathered::{self, Gathered},
};

const SECONDS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Samples wait in memory until they are sorted into buckets; with nobody
/// scraping, this many requests may have samples waiting.
const UPKEEP_EVERY: u64 = 8192;

/// The outcome of a request for a cluster credential that got one.
pub(crate) const MINTED: &str = "minted";

pub(crate) struct RequestMetrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    seen: AtomicU64,
    /// By route, then method and status: routes are few, and so are these.
    series: RwLock<HashMap<String, SeriesOfRoute>>,
    /// All codes, so that each is there before it is first answered.
    refusals: Vec<(ErrorCode, Counter)>,
    mints: Histogram,
    token_requests: Histogram,
}

/// By method and status.
type SeriesOfRoute = HashMap<(&'static str, u16), Series>;

/// What is counted of the requests that were answered alike.
#[derive(Clone)]
struct Series {
    requests: Counter,
    durations: Histogram,
}

impl RequestMetrics {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // The only buckets that are refused are none at all.
        let builder = builder
            .set_buckets(&SECONDS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let (refusals, mints, token_requests) = with_local_recorder(&recorder, || {
            gathered::describe();
            metrics::describe_counter!("http_requests_total", "Requests that were answered.");
            metrics::describe_histogram!(
                "http_request_duration_seconds",
                "Time from a request's head to the head of its answer."
            );
            metrics::describe_counter!("refusals_total", "Refusals, by the code of the problem.");
            metrics::describe_counter!(
                "mints_total",
                "Requests for a cluster credential of a valid key, by what came of them."
            );
            metrics::describe_histogram!(
                "mint_duration_seconds",
                "Time that a cluster credential took that was handed out, all included."
            );
            metrics::describe_histogram!(
                "token_request_duration_seconds",
                "Time that a cluster took for a TokenRequest, whatever came of it."
            );
            let refusals = ErrorCode::ALL
                .iter()
                .map(|code| (*code, counter!("refusals_total", "code" => code.as_str())));
            (
                refusals.collect(),
                histogram!("mint_duration_seconds"),
                histogram!("token_request_duration_seconds"),
            )
        });
        Self {
            recorder,
            handle,
            seen: AtomicU64::new(0),
            series: RwLock::default(),
            refusals,
            mints,
            token_requests,
        }
    }

    /// Counts an answer that is a problem document.
    pub(crate) fn refused(&self, code: ErrorCode) {
        if let Some((_, counter)) = self.refusals.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Counts a request for a cluster credential: `minted`, or the refusal's code.
    pub(crate) fn mint_ended(&self, outcome: &'static str, took: Duration) {
        with_local_recorder(&self.recorder, || {
            counter!("mints_total", "outcome" => outcome).increment(1);
        });
        if outcome == MINTED {
            self.mints.record(took.as_secs_f64());
        }
    }

    /// Counts a `TokenRequest`.
    pub(crate) fn token_request_took(&self, took: Duration) {
        self.token_requests.record(took.as_secs_f64());
    }

    pub(crate) fn record(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let series = self.series(method, route, status);
        series.requests.increment(1);
        series.durations.record(took.as_secs_f64());
        if self.seen.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.handle.run_upkeep();
        }
    }

    /// The recorder would look these up, and copy their labels, for each request.
    fn series(&self, method: &'static str, route: &str, status: u16) -> Series {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(route).and_then(|of| of.get(&(method, status))) {
            return series.clone();
        }
        drop(known);
        let made = with_local_recorder(&self.recorder, || {
            let (named, word) = (route.to_owned(), status.to_string());
            Series {
                requests: counter!("http_requests_total", "method" => method, "route" => named.clone(), "status" => word),
                durations: histogram!("http_request_duration_seconds", "method" => method, "route" => named),
            }
        });
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.entry(route.to_owned()).or_default();
        of_route.insert((method, status), made.clone());
        made
    }

    /// All of them in Prometheus' text format, with what others have counted.
    pub(crate) fn render(&self, gathered: &Gathered<'_>) -> String {
        with_local_recorder(&self.recorder, || gathered.record());
        self.handle.render()
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetrics")
    }
}

#[cfg(test)]
mod tests {
    use remotegpu_control_plane::{AuditBuffer, KeyCache, Load, SweepCounts};
    use remotegpu_namespaces::{Backlog, NamespaceStatus};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn two_in_one_process_count_apart() {
        // R4
        let (one, other) = (RequestMetrics::new(), RequestMetrics::new());
        one.record("GET", "/v1/auth/key", 200, Duration::from_millis(3));
        let load = Load {
            in_flight: 2,
            refused: 5,
        };
        let (cache, sweeps, audit) = (
            KeyCache::new(0),
            SweepCounts::default(),
            AuditBuffer::default(),
        );
        let mut gathered = Gathered {
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
        one.mint_ended(MINTED, Duration::from_millis(30));
        one.mint_ended("cluster_unavailable", Duration::from_secs(4));
        one.token_request_took(Duration::from_millis(20));
        one.refused(ErrorCode::ClusterUnavailable);
        let text = one.render(&gathered);
        for line in [
            r#"mints_total{outcome="minted"} 1"#,
            r#"mints_total{outcome="cluster_unavailable"} 1"#,
            "mint_duration_seconds_count 1",
            "token_request_duration_seconds_count 1",
            r#"refusals_total{code="cluster_unavailable"} 1"#,
            r#"refusals_total{code="overloaded"} 0"#,
            // Unknown is not none.
            r#"namespaces_unsettled{status="deleting"} NaN"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        gathered.backlog = Some(Backlog {
            namespaces: vec![(NamespaceStatus::Failed, 3)],
            ended_identities: 2,
            oldest_end: Some(gathered.now - time::Duration::milliseconds(1500)),
            held: Vec::new(),
        });
        let known = one.render(&gathered);
        for line in [
            r#"namespaces_unsettled{status="failed"} 3"#,
            r#"namespaces_unsettled{status="deleting"} 0"#,
            "identities_ended_waiting 2",
            "identities_ended_oldest_seconds 1.5",
        ] {
            assert!(known.contains(line), "{line} in {known}");
        }
        assert!(
            text.contains(
                r#"http_requests_total{method="GET",route="/v1/auth/key",status="200"} 1"#
            )
        );
        assert!(text.contains("http_request_duration_seconds_bucket"));
        assert!(text.contains("in_flight{class=\"mint\"} 2"), "{text}");
        assert!(text.contains("shed_total{class=\"mint\"} 5"), "{text}");
        assert!(text.contains("mints_rate_limited_total 7"), "{text}");
        assert!(!other.render(&gathered).contains("/v1/auth/key"));
    }
}
