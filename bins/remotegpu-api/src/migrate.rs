//! `remotegpu-api migrate`: brings the schema up to date, and does nothing else
//! (contract R6).

use anyhow::{Context, Result};

use crate::{config::Config, data_dir, dependencies, logging, output::say};

/// Runs what is missing, and says what that was.
pub async fn migrate(config: &Config) -> Result<()> {
    logging::start(config.log, config.log_json);
    // On SQLite a migration may rebuild tables under nobody who uses them.
    let _lock = data_dir::lock_for(config)?;
    let database = dependencies::connect_database(config).await?;
    let run = database.migrate().await.context("database_url")?;
    for migration in &run {
        say!("ran {migration}")?;
    }
    match run.len() {
        0 => say!("the database lacks no migration that this version knows"),
        1 => say!("1 migration was run"),
        many => say!("{many} migrations were run"),
    }
}
