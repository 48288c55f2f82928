//! Counters and durations of requests. The recorder is this edge's own, so that
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

use crate::error::ErrorCode;

const SECONDS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Samples wait in memory until they are sorted into buckets; with nobody
/// scraping, this many requests may have samples waiting.
const UPKEEP_EVERY: u64 = 8192;

/// What is counted of requests, and the recorder that all else is counted with.
pub struct RequestMetrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    seen: AtomicU64,
    /// By route, then method and status: routes are few, and so are these.
    series: RwLock<HashMap<String, SeriesOfRoute>>,
    /// All codes, so that each is there before it is first answered.
    refusals: Vec<(ErrorCode, Counter)>,
}

/// By method and status.
type SeriesOfRoute = HashMap<(&'static str, u16), Series>;

/// What is counted of the requests that were answered alike.
#[derive(Clone)]
struct Series {
    requests: Counter,
    durations: Histogram,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let builder = PrometheusBuilder::new();
        // The only buckets that are refused are none at all.
        let builder = builder
            .set_buckets(&SECONDS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let refusals = with_local_recorder(&recorder, || {
            metrics::describe_counter!(
                "remotegpu_http_requests_total",
                "Requests that were answered."
            );
            metrics::describe_histogram!(
                "remotegpu_http_request_duration_seconds",
                "Time from a request's head to the head of its answer."
            );
            metrics::describe_counter!(
                "remotegpu_refusals_total",
                "Refusals, by the code of the problem."
            );
            let codes = ErrorCode::ALL.iter();
            codes
                .map(|code| {
                    (
                        *code,
                        counter!("remotegpu_refusals_total", "code" => code.as_str()),
                    )
                })
                .collect()
        });
        Self {
            recorder,
            handle,
            seen: AtomicU64::new(0),
            series: RwLock::default(),
            refusals,
        }
    }
}

impl RequestMetrics {
    /// Counts an answer that is an error.
    pub(crate) fn refused(&self, code: ErrorCode) {
        if let Some((_, counter)) = self.refusals.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Counts something else with the same recorder.
    pub fn with_recorder<T>(&self, count: impl FnOnce() -> T) -> T {
        with_local_recorder(&self.recorder, count)
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
                requests: counter!("remotegpu_http_requests_total", "method" => method, "route" => named.clone(), "status" => word),
                durations: histogram!("remotegpu_http_request_duration_seconds", "method" => method, "route" => named),
            }
        });
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.entry(route.to_owned()).or_default();
        of_route.insert((method, status), made.clone());
        made
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
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
    use super::*;

    #[test]
    fn two_in_one_process_count_apart() {
        // R4
        let (one, other) = (RequestMetrics::default(), RequestMetrics::default());
        one.record("GET", "/v1/auth/key", 200, Duration::from_millis(3));
        one.refused(ErrorCode::ClusterUnavailable);
        one.with_recorder(|| counter!("pages_total").increment(2));
        let text = one.render();
        for line in [
            r#"remotegpu_refusals_total{code="cluster_unavailable"} 1"#,
            r#"remotegpu_refusals_total{code="overloaded"} 0"#,
            r#"remotegpu_http_requests_total{method="GET",route="/v1/auth/key",status="200"} 1"#,
            "remotegpu_http_request_duration_seconds_bucket",
            "pages_total 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!other.render().contains("/v1/auth/key"));
    }
}
