//! The command line of RemoteGPU.

use std::process::ExitCode;

use remotegpu_cli::{arguments, commands, output};

fn main() -> ExitCode {
    match commands::run(arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
