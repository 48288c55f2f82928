//! Measures what the project promises about speed and load, on real servers in the
//! build that packages hold, and writes a report. `./x bench` runs it; `docs/benchmarks` tells how
//! to read what it writes.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "progress and the report are what this program is for"
)]

mod children;
mod dataset;
mod load;
mod machine;
mod process;
mod progress;
mod report;
mod rounds;
mod scenarios;
mod server;
mod store;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{
    children::{ChildRole, run_child},
    report::Report,
    scenarios::{Effort, Scenario},
    store::Backend,
};

/// Measures the promises about speed and load.
#[derive(Debug, Parser)]
#[command(name = "./x bench")]
struct Arguments {
    /// What to measure; everything where nothing is named.
    scenarios: Vec<Scenario>,
    /// A short trial with fewer keys: for work on the benchmark, not for figures.
    #[arg(long)]
    quick: bool,
    /// Measures with this database alone.
    #[arg(long, value_name = "DATABASE")]
    database: Option<Backend>,
    /// How many threads make requests.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    load_threads: u8,
    /// Has Debian's `slowhttptest` join the slow clients.
    #[arg(long)]
    slowhttptest: bool,
    /// Where the report goes; a whole run writes `docs/benchmarks/DATE.md`, any other
    /// prints it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What a process is that this one starts beside the servers.
    #[arg(long, hide = true)]
    child: Option<ChildRole>,
    #[arg(long, hide = true, default_value_t = 0)]
    child_port: u16,
    #[arg(long, hide = true)]
    child_folder: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = 0)]
    child_delay_ms: u64,
    #[arg(long, hide = true, default_value_t = 0)]
    child_objects: usize,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // The process has one provider of cryptography, and nobody chose before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let ended = match arguments.child {
        Some(role) => run_child(
            role,
            arguments.child_port,
            arguments.child_folder.as_deref(),
            Duration::from_millis(arguments.child_delay_ms),
            arguments.child_objects,
        )
        .map(|()| ExitCode::SUCCESS),
        None => measure(&arguments),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

fn measure(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let mut scenarios = arguments.scenarios.clone();
    if scenarios.is_empty() {
        scenarios.extend(Scenario::ALL);
    }
    let backends = arguments
        .database
        .map_or(Backend::ALL.to_vec(), |one| vec![one]);
    let effort = Effort::new(
        arguments.quick,
        usize::from(arguments.load_threads),
        arguments.slowhttptest,
    );
    let mut report = Report::new(effort);
    for scenario in &scenarios {
        for backend in backends.iter().filter(|backend| scenario.needs(**backend)) {
            // What cannot be measured is no reason to throw away what was.
            if let Err(error) = scenario.run(*backend, effort, &mut report) {
                let what = format!("{scenario:?}");
                report.note_faults(&what, &backend.to_string(), &[format!("{error:#}")]);
            }
        }
    }
    report.took = started.elapsed();

    let whole = arguments.scenarios.is_empty() && arguments.database.is_none();
    let text = report.to_markdown();
    let file = match &arguments.output {
        None if whole && !arguments.quick => Some(machine::dated_report()),
        given => given.clone(),
    };
    match file {
        Some(file) => {
            std::fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
            println!("{}", report.promises_table());
            println!("The whole report is {}.", file.display());
        }
        None => println!("{text}"),
    }
    Ok(if report.all_hold() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
