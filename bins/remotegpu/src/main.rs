//! The command line of RemoteGPU.

use std::process::ExitCode;

use remotegpu_cli::{arguments, commands, output};
use time::OffsetDateTime;

#[allow(
    clippy::disallowed_methods,
    reason = "this is the binary: the one place that reads the clock"
)]
fn main() -> ExitCode {
    match commands::run(arguments::parse(), OffsetDateTime::now_utc()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
