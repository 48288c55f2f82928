//! How the server ends: readiness first, then requests in flight, then itself.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use remotegpu_edge::Edge;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the server.
pub struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?,
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Says that the server is not ready any more and lets it go on for `drain`,
    /// so that whoever balances the load looks elsewhere. A second signal ends
    /// the process at once, now and later.
    pub async fn drain(mut self, edge: &Arc<Edge>, drain: Duration) {
        edge.drain();
        tracing::info!("ending: no longer ready, finishing what is under way");
        let second = async move {
            self.next().await;
            tracing::warn!("ending at once");
            std::process::exit(1);
        };
        tokio::spawn(second);
        tokio::time::sleep(drain).await;
    }
}
