//! The RemoteGPU API server: configuration, wiring and nothing else.

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
mod output;
mod readiness;
mod redaction;
mod schema;
mod serve;
mod settings;
mod shutdown;
mod tenant_baseline;
mod text_files;
mod tls;
mod watch_database;
mod webhook_credential;

use std::{env::VarError, process::ExitCode};

use anyhow::{Result, bail};

use crate::{
    cli::{ClusterCommand, Command},
    config::Config,
    output::say,
    settings::Settings,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            // The chain in one line: what was to be done, and why it was not.
            let chain = redaction::sentence_without_passwords(&format!("{error:#}"));
            output::note(format_args!("remotegpu-api: {chain}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode> {
    let (cli, matches) = match cli::parse() {
        Ok(parsed) => parsed,
        Err(error) => return cli::answer(&error),
    };
    match cli.command {
        Some(Command::Openapi) => {
            say!("{}", remotegpu_http_api::openapi_json())?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Cluster(ClusterCommand::Manifest {
            token_webhook: None,
        })) => {
            output::print(format_args!("{}", remotegpu_cluster::manifest()?))?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Completions { shell }) => {
            let (mut command, mut script) = (cli::command(), Vec::new());
            clap_complete::generate(shell, &mut command, "remotegpu-api", &mut script);
            output::print(format_args!("{}", String::from_utf8(script)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let file = match cli.config.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Some(path),
        None => variable("REMOTEGPU_CONFIG")?.map(Into::into),
    };
    let settings = Settings::gather(&matches, file.as_deref(), variable)?;
    let config = Config::read(&settings)?;
    // The process has one provider of cryptography, and nobody chose before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Some(Command::Config) => config_command::print(&settings)?,
        Some(Command::Check) => return check::check(&config).await,
        Some(Command::Cluster(ClusterCommand::Manifest {
            token_webhook: Some(name),
        })) => webhook_credential::print_file(&config, &name).await?,
        Some(Command::Migrate) => migrate::migrate(&config).await?,
        Some(Command::Admin(command)) => admin::run(&config, command).await?,
        _ => serve::serve(config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A variable of the process; one that is empty is not set.
fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        // What it holds stays out of the sentence: it may be a password.
        Err(VarError::NotUnicode(_)) => bail!("{name}: it is not UTF-8"),
    }
}
