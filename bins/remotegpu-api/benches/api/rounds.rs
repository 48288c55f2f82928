//! Interleaving: what is compared is measured in turns, so that a machine that slows
//! down slows all of it down; ratios are taken within a round.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;

use crate::{
    dataset::Keys,
    load::{FixedRequest, KeyedRequest, Pace, Plan, Requests, Sample, run},
    process::settle,
    progress::say,
    report::Report,
    scenarios::Effort,
    server::Server,
};

/// What `GET` is measured with.
#[derive(Debug, Clone)]
pub enum Ask {
    /// One path, with these header lines.
    Fixed(&'static str, Vec<String>),
    /// `GET /v1/auth/key` with keys drawn from these.
    Keys(Arc<Keys>),
}

/// Something whose speed is measured.
#[derive(Debug, Clone)]
pub struct Subject {
    pub name: String,
    pub address: SocketAddr,
    pub pid: u32,
    pub ask: Ask,
    pub expected: u16,
}

impl Subject {
    pub fn new(name: impl Into<String>, server: &Server, ask: Ask) -> Self {
        Self {
            name: name.into(),
            address: server.address,
            pid: server.pid(),
            ask,
            expected: 200,
        }
    }

    /// The requests of each thread.
    pub fn requests(&self, threads: usize, seed: u64) -> Vec<Box<dyn Requests>> {
        let one = |thread: usize| -> Box<dyn Requests> {
            match &self.ask {
                Ask::Fixed(path, headers) => {
                    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
                    Box::new(FixedRequest::get(self.address, path, &headers))
                }
                Ask::Keys(keys) => {
                    let seed = seed.wrapping_mul(64).wrapping_add(thread as u64);
                    Box::new(KeyedRequest::drawn(
                        "GET",
                        self.address,
                        KEY_PATH,
                        keys,
                        seed,
                    ))
                }
            }
        };
        (0..threads).map(one).collect()
    }
}

pub const KEY_PATH: &str = "/v1/auth/key";
/// How long a server may go on working after its turn before the next one's begins.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// Measures all subjects in turn, round after round; a list of samples for each subject.
pub fn interleave(
    what: &str,
    subjects: &[Subject],
    connections: usize,
    effort: Effort,
    report: &mut Report,
) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); subjects.len()];
    for round in 0..effort.rounds {
        for (index, subject) in subjects.iter().enumerate() {
            let (number, of, name) = (round + 1, effort.rounds, &subject.name);
            say(format_args!("{what}: round {number} of {of}, {name}"));
            let plan = Plan {
                address: subject.address,
                pace: Pace::closed(connections),
                warm_up: effort.warm_up,
                measure: Some(effort.slice),
                server: Some(subject.pid),
            };
            let seed = (round * subjects.len() + index) as u64;
            let threads = effort.load_threads.min(connections);
            let sample = run(&plan, subject.requests(threads, seed))?;
            report.note_faults(what, name, &sample.faults(&[subject.expected]));
            samples[index].push(sample);
            settle(subject.pid, SETTLE_WITHIN)?;
        }
    }
    Ok(samples)
}

/// One subject's rate over another's, in each round.
pub fn rate_ratios(of: (&[Sample], u16), to: (&[Sample], u16)) -> Vec<f64> {
    let pairs = of.0.iter().zip(to.0);
    pairs
        .map(|(one, other)| one.rate(of.1) / other.rate(to.1))
        .collect()
}

/// One subject's quantile over another's, in each round; rounds without answers have
/// none.
pub fn quantile_ratios(of: (&[Sample], u16), to: (&[Sample], u16), share: f64) -> Vec<f64> {
    let pairs = of.0.iter().zip(to.0);
    pairs
        .filter_map(|(one, other)| Some(one.quantile(of.1, share)? / other.quantile(to.1, share)?))
        .collect()
}
