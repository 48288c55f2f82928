//! The load generator: threads of its own, non-blocking, with requests that are rendered
//! beforehand. It shares the machine with the server, so that every microsecond of it
//! counts.

mod connection;
mod engine;
mod requests;
mod sample;

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

pub use requests::{FixedRequest, KeyedRequest, Requests, SignInRequest};
pub use sample::{Sample, as_float};

use crate::process::cpu_seconds;
use engine::Engine;

/// When requests begin.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many connections, each of which asks again as soon as it is answered; with
    /// patience, not before the time that a refusal has named.
    Closed { connections: usize, patient: bool },
    /// At fixed times, whatever becomes of those before. A request that finds every
    /// connection busy waits, and its waiting counts.
    Open { per_second: f64, connections: usize },
}

/// One piece of load.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub address: SocketAddr,
    pub pace: Pace,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted; without it, until the requests come to an end.
    pub measure: Option<Duration>,
    /// Whose processor time is counted meanwhile.
    pub server: Option<u32>,
}

impl Pace {
    /// A closed loop that never waits.
    pub fn closed(connections: usize) -> Self {
        Self::Closed {
            connections,
            patient: false,
        }
    }
}

impl Plan {
    fn share(&self, threads: usize) -> Self {
        let part = |connections: usize| connections.div_ceil(threads);
        let pace = match self.pace {
            Pace::Closed {
                connections,
                patient,
            } => Pace::Closed {
                connections: part(connections),
                patient,
            },
            #[allow(clippy::cast_precision_loss, reason = "there are few threads")]
            Pace::Open {
                per_second,
                connections,
            } => Pace::Open {
                per_second: per_second / threads as f64,
                connections: part(connections),
            },
        };
        Self { pace, ..*self }
    }
}

/// Load that runs on threads of its own until it is joined.
pub struct Running {
    threads: Vec<thread::JoinHandle<Result<Sample>>>,
    watcher: thread::JoinHandle<Result<Option<f64>>>,
}

/// Starts it. There are as many threads as there are requests to make.
pub fn start(plan: &Plan, requests: Vec<Box<dyn Requests>>) -> Running {
    let share = plan.share(requests.len());
    let threads = requests
        .into_iter()
        .map(|requests| thread::spawn(move || Engine::new(share, requests)?.run()))
        .collect();
    let plan = *plan;
    let watcher = thread::spawn(move || watch(&plan));
    Running { threads, watcher }
}

impl Running {
    /// What came of it, all threads together.
    pub fn join(self) -> Result<Sample> {
        let ended = || anyhow!("the load generator panicked");
        let mut all = Sample::default();
        for thread in self.threads {
            all.merge(&thread.join().map_err(|_| ended())??);
        }
        all.server_cpu = self.watcher.join().map_err(|_| ended())??;
        Ok(all)
    }
}

/// Runs it to its end.
pub fn run(plan: &Plan, requests: Vec<Box<dyn Requests>>) -> Result<Sample> {
    start(plan, requests).join()
}

/// The server's processor time while the load is counted, in seconds.
fn watch(plan: &Plan) -> Result<Option<f64>> {
    let (Some(server), Some(measure)) = (plan.server, plan.measure) else {
        return Ok(None);
    };
    let from = Instant::now() + plan.warm_up;
    thread::sleep(from.saturating_duration_since(Instant::now()));
    let before = cpu_seconds(server)?;
    thread::sleep((from + measure).saturating_duration_since(Instant::now()));
    Ok(Some(cpu_seconds(server)? - before))
}
