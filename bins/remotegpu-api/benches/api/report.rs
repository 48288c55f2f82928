//! What a run found: promises with their verdicts, then the figures behind them.

use std::{fmt::Write, time::Duration};

use crate::{load::Sample, machine, progress::say, scenarios::Effort};

/// What is promised of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {}{unit}", figure(bound)),
            Self::AtMost(bound) => format!("at most {}{unit}", figure(bound)),
        }
    }
}

#[derive(Debug)]
struct Promise {
    what: String,
    /// Absent where nothing is promised and the figure is shown for comparison.
    bound: Option<Bound>,
    /// Its unit with a space before it, or nothing for a ratio.
    unit: &'static str,
    measured: Vec<f64>,
}

impl Promise {
    fn holds(&self) -> bool {
        self.bound
            .is_none_or(|bound| median(&self.measured).is_some_and(|median| bound.holds(median)))
    }

    fn verdict(&self) -> &'static str {
        match self.bound {
            None => "",
            Some(_) if self.holds() => "holds",
            Some(_) => "**misses**",
        }
    }
}

pub struct Report {
    effort: Effort,
    pub took: Duration,
    facts: Vec<(&'static str, String)>,
    started: String,
    promises: Vec<Promise>,
    figures: Vec<String>,
    remarks: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    pub fn new(effort: Effort) -> Self {
        Self {
            effort,
            took: Duration::ZERO,
            facts: machine::facts(),
            started: machine::date_and_time(),
            promises: Vec::new(),
            figures: Vec::new(),
            remarks: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Judges a promise by the median of what was measured.
    pub fn promise(
        &mut self,
        what: impl Into<String>,
        bound: Bound,
        unit: &'static str,
        measured: Vec<f64>,
    ) {
        self.row(what.into(), Some(bound), unit, measured);
    }

    /// A figure of the same kind that nothing is promised of.
    pub fn shown(&mut self, what: impl Into<String>, unit: &'static str, measured: Vec<f64>) {
        self.row(what.into(), None, unit, measured);
    }

    fn row(&mut self, what: String, bound: Option<Bound>, unit: &'static str, measured: Vec<f64>) {
        let promise = Promise {
            what,
            bound,
            unit,
            measured,
        };
        say(promise_row(&promise));
        self.promises.push(promise);
    }

    /// A line of the table of figures, from the samples of all rounds.
    pub fn figures(&mut self, place: &str, subject: &str, status: u16, samples: &[Sample]) {
        let rates: Vec<f64> = samples.iter().map(|sample| sample.rate(status)).collect();
        let mut all = Sample::default();
        for sample in samples {
            all.merge(sample);
        }
        if all.count(status) == 0 {
            return;
        }
        let time = |share| all.quantile(status, share).map_or_else(none, milliseconds);
        let server: Vec<f64> = samples.iter().filter_map(Sample::server_cpu_each).collect();
        let server = median(&server).map_or_else(none, |each| format!("{each:.1}"));
        let own: Vec<f64> = samples
            .iter()
            .map(|sample| sample.own_cpu / sample.seconds * 100.0)
            .collect();
        let own = median(&own).map_or_else(none, |share| format!("{share:.0} %"));
        let row = format!(
            "| {place} | {subject} | {status} | {} | {} to {} | {} | {} | {} | {server} | {own} |",
            median(&rates).map_or_else(none, per_second),
            least(&rates).map_or_else(none, per_second),
            most(&rates).map_or_else(none, per_second),
            time(0.5),
            time(0.99),
            time(1.0),
        );
        self.figures.push(row);
    }

    /// Something that a reader should know beside the tables.
    pub fn remark(&mut self, remark: impl Into<String>) {
        let remark = remark.into();
        say(&remark);
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// What should not have happened; it makes the run a failure.
    pub fn note_faults(&mut self, what: &str, subject: &str, faults: &[String]) {
        for fault in faults {
            let fault = format!("{what}, {subject}: {fault}");
            say(&fault);
            self.faults.push(fault);
        }
    }

    /// Whether every promise holds and nothing went wrong.
    pub fn all_hold(&self) -> bool {
        self.faults.is_empty() && self.promises.iter().all(Promise::holds)
    }

    pub fn promises_table(&self) -> String {
        let mut text = "| Promise | Promised | Median | Least | Most | Measured | Verdict |\n\
                        |---|---|---:|---:|---:|---:|---|\n"
            .to_owned();
        for promise in &self.promises {
            text.push_str(&promise_row(promise));
            text.push('\n');
        }
        text
    }

    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Benchmark of {}\n\n", machine::date());
        text.push_str(
            "Written by `./x bench`. [How to read it](README.md): a promise is judged by the \
             median over the rounds; least and most show the spread.\n\n",
        );
        if self.effort.quick {
            text.push_str(
                "**A quick trial:** few keys and short rounds. It shows that the benchmark works; \
                 its figures mean little.\n\n",
            );
        }
        let minutes = self.took.as_secs() / 60;
        let _ = writeln!(text, "- Started: {}, took {minutes} minutes", self.started);
        for (name, value) in &self.facts {
            let _ = writeln!(text, "- {name}: {value}");
        }
        let _ = writeln!(text, "- Load: {}\n", self.effort.describe());
        let _ = writeln!(text, "## Promises\n\n{}", self.promises_table());
        if !self.faults.is_empty() {
            text.push_str("## What went wrong\n\n");
            for fault in &self.faults {
                let _ = writeln!(text, "- {fault}");
            }
            text.push('\n');
        }
        if !self.remarks.is_empty() {
            text.push_str("## Beside the tables\n\n");
            for remark in &self.remarks {
                let _ = writeln!(text, "- {remark}");
            }
            text.push('\n');
        }
        text.push_str(
            "## Figures\n\nRequests in a second: the median of the rounds, and from the least to \
             the most. Times are of all rounds together, in milliseconds. *Server* is \
             the processor time that the server itself took for an answer, of whatever status, in \
             microseconds; PostgreSQL's own is not in it. *Generator* is how much of one \
             processor the load generator took.\n\n\
             | Where | What | Status | Requests/s | Rounds | p50 | p99 | Longest | Server | Generator |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for row in &self.figures {
            text.push_str(row);
            text.push('\n');
        }
        text
    }
}

fn promise_row(promise: &Promise) -> String {
    let unit = promise.unit;
    let shown = |value: Option<f64>| value.map_or_else(none, |value| figure(value) + unit);
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        promise.what,
        promise
            .bound
            .map_or_else(|| "shown".to_owned(), |bound| bound.text(unit)),
        shown(median(&promise.measured)),
        shown(least(&promise.measured)),
        shown(most(&promise.measured)),
        match promise.measured.len() {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        },
        promise.verdict(),
    )
}

/// The middle one, or what lies between the middle two.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        Some(*upper)
    } else {
        Some(f64::midpoint(sorted[middle - 1], *upper))
    }
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().max_by(f64::total_cmp)
}

/// Whole numbers where they are large, two digits where they are ratios.
fn figure(value: f64) -> String {
    if value.abs() >= 20.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn per_second(rate: f64) -> String {
    figure(rate)
}

fn milliseconds(time: f64) -> String {
    format!("{time:.2}")
}

fn none() -> String {
    "–".to_owned()
}
