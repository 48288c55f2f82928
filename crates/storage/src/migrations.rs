//! The migrations that are compiled in, and whether a database has them.

use std::collections::BTreeSet;

use diesel::{
    SqliteConnection,
    migration::{MigrationSource, MigrationVersion},
    pg::Pg,
};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::OpenError;

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Diesel's own table of the migrations that were run.
pub mod applied {
    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
        }
    }
    pub use __diesel_schema_migrations::{table, version};
}

/// The versions of the migrations that this binary knows. Both databases have
/// the same ones; a test says so.
pub fn known() -> Result<BTreeSet<String>, OpenError> {
    let migrations = MigrationSource::<Pg>::migrations(&POSTGRES).map_err(OpenError::Migration)?;
    let versions = migrations
        .iter()
        .map(|migration| migration.name().version().to_string());
    Ok(versions.collect())
}

/// Whether a database with these migrations is this binary's.
pub fn judge(known: &BTreeSet<String>, applied: &BTreeSet<String>) -> Result<(), OpenError> {
    judge_not_newer(known, applied)?;
    match known.difference(applied).next() {
        None => Ok(()),
        Some(missing) => Err(OpenError::Older {
            migration: missing.clone(),
        }),
    }
}

fn judge_not_newer(known: &BTreeSet<String>, applied: &BTreeSet<String>) -> Result<(), OpenError> {
    match applied.difference(known).next() {
        None => Ok(()),
        Some(unknown) => Err(OpenError::Newer {
            migration: unknown.clone(),
        }),
    }
}

/// Runs what is missing on PostgreSQL; blocks. The caller holds the lock.
pub fn run_on_postgres(connection: AsyncPgConnection) -> Result<(), OpenError> {
    let known = known()?;
    let mut harness = AsyncMigrationHarness::new(connection);
    let applied = harness.applied_migrations();
    judge_not_newer(&known, &versions(&applied.map_err(OpenError::Migration)?))?;
    let run = harness.run_pending_migrations(POSTGRES);
    run.map(drop).map_err(OpenError::Migration)
}

/// Runs what is missing on SQLite; blocks. One transaction over all of it keeps
/// other processes out.
pub fn run_on_sqlite(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let known = known()?;
    let run = connection.immediate_transaction(|connection| {
        let applied = connection.applied_migrations();
        judge_not_newer(&known, &versions(&applied.map_err(OpenError::Migration)?))?;
        let run = connection.run_pending_migrations(SQLITE);
        Ok::<_, TransactionError>(run.map(drop).map_err(OpenError::Migration)?)
    });
    run.map_err(|error| error.0)
}

struct TransactionError(OpenError);

impl From<OpenError> for TransactionError {
    fn from(error: OpenError) -> Self {
        Self(error)
    }
}

impl From<diesel::result::Error> for TransactionError {
    fn from(error: diesel::result::Error) -> Self {
        Self(OpenError::Migration(Box::new(error)))
    }
}

fn versions(applied: &[MigrationVersion<'static>]) -> BTreeSet<String> {
    applied.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use diesel::sqlite::Sqlite;

    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        let sqlite: BTreeSet<String> = MigrationSource::<Sqlite>::migrations(&SQLITE)
            .unwrap()
            .iter()
            .map(|migration| migration.name().version().to_string())
            .collect();
        assert_eq!(known().unwrap(), sqlite);
    }

    #[test]
    fn a_schema_is_neither_older_nor_newer() {
        let set = |versions: &[&str]| versions.iter().map(ToString::to_string).collect();
        let known = set(&["1", "2"]);
        assert!(judge(&known, &set(&["1", "2"])).is_ok());
        let older = judge(&known, &set(&["1"])).unwrap_err();
        assert!(matches!(older, OpenError::Older { migration } if migration == "2"));
        let newer = judge(&known, &set(&["1", "2", "3"])).unwrap_err();
        assert!(matches!(newer, OpenError::Newer { migration } if migration == "3"));
    }
}
