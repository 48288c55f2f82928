//! Tests that a machine cannot run, and how that is told.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "Whoever says so is a test, which fails by panicking."
)]

use std::{fs::OpenOptions, io::Write};

/// The test that says so needs `lacking`, which this machine does not have, and ends here.
///
/// What a test prints is shown to nobody when it passes, so it is also written into the
/// file that `REMOTEGPU_LEFT_OUT` names; `./x` reads it aloud at its end.
///
/// # Panics
/// This is CI, where nothing is left out.
pub fn left_out(lacking: &str) {
    println!("LEFT OUT FOR WANT OF {lacking}");
    let test = test_name();
    if let Some(path) = std::env::var_os("REMOTEGPU_LEFT_OUT") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        // One write, because other tests write as well.
        let line = format!("{lacking}\t{test}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
    let in_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!in_ci, "{test} needs {lacking}, and CI leaves nothing out");
}

/// The test runner calls the thread of a test by the test's name.
fn test_name() -> String {
    let current = std::thread::current();
    let named = std::env::var("NEXTEST_TEST_NAME").ok();
    let named = named.or_else(|| current.name().map(str::to_owned));
    named.unwrap_or_else(|| "a test".to_owned())
}
