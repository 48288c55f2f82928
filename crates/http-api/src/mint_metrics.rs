//! What is counted of requests for cluster credentials.

use std::{sync::Arc, time::Duration};

use metrics::{Histogram, counter, describe_counter, describe_histogram, histogram};
use remotegpu_edge::Edge;

/// The outcome of a request for a cluster credential that got one.
pub(crate) const MINTED: &str = "minted";

pub(crate) struct MintMetrics {
    edge: Arc<Edge>,
    mints: Histogram,
    token_requests: Histogram,
}

impl MintMetrics {
    pub(crate) fn new(edge: Arc<Edge>) -> Self {
        let (mints, token_requests) = edge.metrics().with_recorder(|| {
            describe_counter!(
                "remotegpu_mints_total",
                "Requests for a cluster credential of a valid key, by what came of them."
            );
            describe_histogram!(
                "remotegpu_mint_duration_seconds",
                "Time that a cluster credential took that was handed out, all included."
            );
            describe_histogram!(
                "remotegpu_token_request_duration_seconds",
                "Time that a cluster took for a TokenRequest, whatever came of it."
            );
            (
                histogram!("remotegpu_mint_duration_seconds"),
                histogram!("remotegpu_token_request_duration_seconds"),
            )
        });
        Self {
            edge,
            mints,
            token_requests,
        }
    }

    /// Counts a request for a cluster credential: `minted`, or the refusal's code.
    pub(crate) fn mint_ended(&self, outcome: &'static str, took: Duration) {
        self.edge.metrics().with_recorder(|| {
            counter!("remotegpu_mints_total", "outcome" => outcome).increment(1);
        });
        if outcome == MINTED {
            self.mints.record(took.as_secs_f64());
        }
    }

    /// Counts a `TokenRequest`.
    pub(crate) fn token_request_took(&self, took: Duration) {
        self.token_requests.record(took.as_secs_f64());
    }
}
