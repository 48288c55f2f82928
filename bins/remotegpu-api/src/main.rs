//! The RemoteGPU API server: configuration, wiring and nothing else.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "commands print what they were asked for; the log is for what happens meanwhile"
)]

mod admin;
mod check;
mod cli;
mod clock;
mod config;
mod config_command;
mod data_dir;
mod dependencies;
mod end_all;
mod first_admin;
mod followed_files;
mod logging;
mod migrate;
mod open_files;
mod readiness;
mod schema;
mod serve;
mod settings;
mod shutdown;
mod tenant_baseline;
mod text_files;
mod tls;
mod watch_database;

use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::{
    cli::{Cli, ClusterCommand, Command},
    config::Config,
    settings::Settings,
};

#[tokio::main]
async fn main() -> ExitCode {
    let (cli, matches) = cli::parse();
    match run(cli, &matches).await {
        Ok(code) => code,
        Err(error) => {
            // The chain in one line: what was to be done, and why it was not.
            eprintln!("remotegpu-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, matches: &ArgMatches) -> Result<ExitCode> {
    match cli.command {
        Some(Command::Openapi) => {
            println!("{}", remotegpu_http_api::openapi_json());
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Cluster(ClusterCommand::Manifest)) => {
            print!("{}", remotegpu_cluster::manifest()?);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Completions { shell }) => {
            let mut command = cli::command();
            clap_complete::generate(shell, &mut command, "remotegpu-api", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let env = |name: &str| std::env::var(name).ok();
    let file = cli.config.or_else(|| {
        env("REMOTEGPU_CONFIG")
            .filter(|path| !path.is_empty())
            .map(Into::into)
    });
    let settings = Settings::gather(matches, file.as_deref(), env)?;
    let config = Config::read(&settings)?;
    // The process has one provider of cryptography, and nobody chose before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Some(Command::Config) => config_command::print(&settings)?,
        Some(Command::Check) => return check::check(&config).await,
        Some(Command::Migrate) => migrate::migrate(&config).await?,
        Some(Command::Admin(command)) => admin::run(&config, command).await?,
        _ => serve::serve(config).await?,
    }
    Ok(ExitCode::SUCCESS)
}
