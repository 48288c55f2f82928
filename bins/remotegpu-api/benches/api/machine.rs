//! What the figures were measured on.

use std::{fs, path::PathBuf, process::Command, thread};

use remotegpu_test_support::postgres::TestPostgres;
use time::{OffsetDateTime, UtcOffset, macros::format_description};

/// How many processors there are: the server's workers are as many, in every server.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The day and time, in UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place of the benchmark that reads the clock: a report has a date"
)]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().to_offset(UtcOffset::UTC)
}

pub fn date() -> String {
    let format = format_description!("[year]-[month]-[day]");
    now().format(format).unwrap_or_default()
}

pub fn date_and_time() -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    now().format(format).unwrap_or_default()
}

/// Where today's report goes.
pub fn dated_report() -> PathBuf {
    repository().join(format!("docs/benchmarks/{}.md", date()))
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The facts that a reader needs to compare figures, each with its name.
pub fn facts() -> Vec<(&'static str, String)> {
    let memory = field_of("/proc/meminfo", "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse::<f64>();
    vec![
        (
            "Processor",
            format!(
                "{} cores of {}",
                cores(),
                field_of("/proc/cpuinfo", "model name")
            ),
        ),
        (
            "Memory",
            memory.map_or_else(
                |_| "unknown".to_owned(),
                |kib| format!("{:.1} GB", kib * 1024.0 / 1e9),
            ),
        ),
        ("Kernel", read("/proc/sys/kernel/osrelease")),
        ("Load average before", read("/proc/loadavg")),
        ("Commit", commit()),
        ("Compiler", said("rustc", &["--version"])),
        ("PostgreSQL", postgres()),
    ]
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "HEAD"]);
    // The reports themselves are what a run leaves behind.
    let changed = said(
        "git",
        &[
            "status",
            "--porcelain",
            "--",
            ":/",
            ":(exclude,top)docs/benchmarks",
        ],
    );
    if changed.is_empty() {
        commit
    } else {
        format!("{commit}, with uncommitted changes")
    }
}

fn postgres() -> String {
    let version = TestPostgres::shared()
        .and_then(TestPostgres::create_database)
        .and_then(|database| database.query("SHOW server_version"));
    version.unwrap_or_else(|_| "not found".to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn field_of(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(
        || "unknown".to_owned(),
        |(_, value)| value.trim().to_owned(),
    )
}
