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

use metrics::{Counter, Histogram, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use remotegpu_control_plane::{KeyCache, KeyCacheCounts, Load, SweepCounts};

const SECONDS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Samples wait in memory until they are sorted into buckets; with nobody
/// scraping, this many requests may have samples waiting.
const UPKEEP_EVERY: u64 = 8192;

pub(crate) struct RequestMetrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    seen: AtomicU64,
    /// By route, then method and status: routes are few, and so are these.
    series: RwLock<HashMap<String, SeriesOfRoute>>,
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
        with_local_recorder(&recorder, || {
            metrics::describe_counter!("http_requests_total", "Requests that were answered.");
            metrics::describe_histogram!(
                "http_request_duration_seconds",
                "Time from a request's head to the head of its answer."
            );
            metrics::describe_counter!(
                "api_key_cache_hits_total",
                "API keys that were known without a query."
            );
            metrics::describe_counter!(
                "api_key_cache_misses_total",
                "API keys that the database was asked for."
            );
            metrics::describe_gauge!(
                "api_key_cache_trusted",
                "Whether changes of keys are heard of; 0 asks the database every time."
            );
            metrics::describe_gauge!(
                "in_flight",
                "What is at work or waits for its turn, by class of work."
            );
            metrics::describe_counter!(
                "shed_total",
                "What was refused because too much was under way, by class of work."
            );
            metrics::describe_counter!(
                "mints_rate_limited_total",
                "Mints that were refused because their key had minted too often."
            );
            metrics::describe_counter!(
                "namespaces_repaired_total",
                "Namespaces that were changed in their cluster and put right."
            );
            metrics::describe_counter!(
                "namespaces_unknown_removed_total",
                "Namespaces that no row knew and that were removed from their cluster."
            );
        });
        Self {
            recorder,
            handle,
            seen: AtomicU64::new(0),
            series: RwLock::default(),
        }
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
    pub(crate) fn render(
        &self,
        loads: &[(&'static str, Load)],
        rate_limited: u64,
        key_cache: &KeyCache,
        sweeps: &SweepCounts,
    ) -> String {
        with_local_recorder(&self.recorder, || {
            for (class, load) in loads {
                let in_flight = u32::try_from(load.in_flight).unwrap_or(u32::MAX);
                gauge!("in_flight", "class" => *class).set(in_flight);
                counter!("shed_total", "class" => *class).absolute(load.refused);
            }
            counter!("mints_rate_limited_total").absolute(rate_limited);
            let KeyCacheCounts { hits, misses } = key_cache.counts();
            counter!("api_key_cache_hits_total").absolute(hits);
            counter!("api_key_cache_misses_total").absolute(misses);
            let trusted = if key_cache.is_trusted() { 1.0 } else { 0.0 };
            gauge!("api_key_cache_trusted").set(trusted);
            counter!("namespaces_repaired_total").absolute(sweeps.repaired());
            counter!("namespaces_unknown_removed_total").absolute(sweeps.removed());
        });
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
        let (one, other) = (RequestMetrics::new(), RequestMetrics::new());
        one.record("GET", "/v1/auth/key", 200, Duration::from_millis(3));
        let load = Load {
            in_flight: 2,
            refused: 5,
        };
        let text = one.render(
            &[("mint", load)],
            7,
            &KeyCache::new(0),
            &SweepCounts::default(),
        );
        assert!(
            text.contains(
                r#"http_requests_total{method="GET",route="/v1/auth/key",status="200"} 1"#
            )
        );
        assert!(text.contains("http_request_duration_seconds_bucket"));
        assert!(text.contains("in_flight{class=\"mint\"} 2"), "{text}");
        assert!(text.contains("shed_total{class=\"mint\"} 5"), "{text}");
        assert!(text.contains("mints_rate_limited_total 7"), "{text}");
        assert!(
            !other
                .render(&[], 0, &KeyCache::new(0), &SweepCounts::default())
                .contains("/v1/auth/key")
        );
    }
}
