//! What came of a piece of load.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

/// The answers that came within the counted time, and what went wrong at any time.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// How long was counted, in seconds.
    pub seconds: f64,
    /// The times to the answers in nanoseconds, by status.
    pub answers: Vec<(u16, Histogram<u64>)>,
    /// Connections that ended before an answer, and answers that were none, by kind.
    pub failures: BTreeMap<String, u64>,
    /// The processor time of the load generator, in seconds.
    pub own_cpu: f64,
    /// The processor time of the server, in seconds; absent where nobody looked.
    pub server_cpu: Option<f64>,
}

impl Sample {
    /// Notes an answer.
    pub fn answered(&mut self, status: u16, after: Duration) {
        let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        let known = self.answers.iter().position(|(known, _)| *known == status);
        let index = known.unwrap_or_else(|| {
            self.answers.push((status, empty()));
            self.answers.len() - 1
        });
        self.answers[index].1.saturating_record(nanoseconds);
    }

    /// Notes a request that got no answer.
    pub fn failed(&mut self, kind: &str) {
        match self.failures.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.failures.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Adds what another thread, or another round, has seen. Threads count the same
    /// time; rounds are compared one by one, and only their histograms are merged.
    pub fn merge(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
        for (status, times) in &other.answers {
            match self.answers.iter_mut().find(|(known, _)| known == status) {
                // Both were made by `empty`, and so have room for the same times.
                Some((_, own)) => drop(own.add(times)),
                None => self.answers.push((*status, times.clone())),
            }
        }
        for (kind, count) in &other.failures {
            *self.failures.entry(kind.clone()).or_default() += count;
        }
        self.own_cpu += other.own_cpu;
    }

    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.times(status).map_or(0, Histogram::len)
    }

    /// How many answers there were.
    pub fn all(&self) -> u64 {
        self.answers.iter().map(|(_, times)| times.len()).sum()
    }

    /// Answers with this status in a second.
    pub fn rate(&self, status: u16) -> f64 {
        as_float(self.count(status)) / self.seconds
    }

    /// The time within which this share of the answers with this status came, in
    /// milliseconds; absent where there were none.
    pub fn quantile(&self, status: u16, share: f64) -> Option<f64> {
        let times = self.times(status).filter(|times| !times.is_empty())?;
        Some(as_float(times.value_at_quantile(share)) / 1e6)
    }

    /// The server's processor time for a request, in microseconds.
    pub fn server_cpu_each(&self) -> Option<f64> {
        Some(self.server_cpu? * 1e6 / as_float(self.all().max(1)))
    }

    /// What was neither answered as expected nor answered at all.
    pub fn faults(&self, expected: &[u16]) -> Vec<String> {
        let statuses = self.answers.iter();
        let unexpected = statuses.filter(|(status, _)| !expected.contains(status));
        let unexpected =
            unexpected.map(|(status, times)| format!("{} answers {status}", times.len()));
        let failures = self.failures.iter();
        unexpected
            .chain(failures.map(|(kind, count)| format!("{count} requests: {kind}")))
            .collect()
    }

    fn times(&self, status: u16) -> Option<&Histogram<u64>> {
        let found = self.answers.iter().find(|(known, _)| *known == status);
        found.map(|(_, times)| times)
    }
}

/// Room for a nanosecond to ten minutes, each time with three digits.
fn empty() -> Histogram<u64> {
    const LONGEST: u64 = 600_000_000_000;
    Histogram::new_with_bounds(1, LONGEST, 3).unwrap_or_else(|_| unreachable!("bounds are valid"))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and nanoseconds stay far below 2^53"
)]
pub fn as_float(count: u64) -> f64 {
    count as f64
}
