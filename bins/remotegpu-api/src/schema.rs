//! The database's schema: who needs it waits for it, or says that it is not there
//! (contract R6).

use std::time::Duration;

use anyhow::{Context, Result, bail};
use remotegpu_storage::{Database, OpenError};

use crate::{
    config::{Config, DatabaseChoice, SchemaAtStart},
    dependencies,
};

/// How often a start that does not migrate looks whether somebody else has.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whether there is a database to be looked at: the embedded one is a file that the
/// first start makes.
pub fn has_file(config: &Config) -> bool {
    config.database != DatabaseChoice::Embedded || config.data_dir.join("remotegpu.db").exists()
}

/// Opens a database whose schema is there, and leaves it as it is.
pub async fn existing(config: &Config) -> Result<Database> {
    if !has_file(config) {
        bail!(
            "data_dir: there is no database in {} yet; start the server once, or run \
             `remotegpu-api migrate`",
            config.data_dir.display()
        );
    }
    let database = dependencies::connect_database(config).await?;
    database.check().await.context("database_url")?;
    Ok(database)
}

/// Stops a start before anything is started, where this program is too old for the
/// database. What else is wrong with it shows when it is prepared.
pub async fn refuse_too_new(database: &Database) -> Result<()> {
    match database.check().await {
        Err(error @ OpenError::TooOld { .. }) => Err(error).context("database_url"),
        _ => Ok(()),
    }
}

/// Brings the schema up to date, or waits until somebody else has, as the
/// configuration says.
///
/// # Errors
/// This program is too old for the database, or a migration failed.
pub async fn prepare(config: &Config, database: &Database) -> Result<()> {
    if config.schema_at_start == SchemaAtStart::BringUpToDate {
        database.migrate().await.context("database_url")?;
        return Ok(());
    }
    let mut told = None;
    loop {
        let sentence = match database.check().await {
            Ok(_) => return Ok(()),
            Err(error @ OpenError::TooOld { .. }) => return Err(error).context("database_url"),
            Err(error) => error.to_string(),
        };
        // Once for each reason, not every two seconds.
        if told.as_ref() != Some(&sentence) {
            tracing::warn!(reason = sentence, "waiting for the database's schema");
            told = Some(sentence);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
