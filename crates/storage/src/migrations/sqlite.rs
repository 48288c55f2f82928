//! Migrations on SQLite, which may rebuild tables (contract R6).

mod copies;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::Path};

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection, migration::MigrationSource, result::Error as QueryError,
    sql_types::Text, sqlite::Sqlite,
};
use diesel_migrations::MigrationHarness;

use super::{MIN_VERSION_SINCE, judge_not_too_old, version_of, versions};
use crate::{error::OpenError, schema::installation};

/// Runs what is missing, and answers what that was; blocks. One transaction over all of
/// it keeps other processes out, and is taken back as a whole.
///
/// A table is rebuilt by making a new one, filling it, dropping the old one and giving
/// the new one its name. So for the time of it nothing refers to anything: dropping a
/// table would otherwise remove the rows that refer to it, and the new name would be
/// written into others. That can be said before a transaction alone.
pub fn run(
    mut connection: SqliteConnection,
    path: &Path,
    source: &impl MigrationSource<Sqlite>,
    known: &BTreeSet<String>,
) -> Result<Vec<String>, OpenError> {
    let connection = &mut connection;
    connection
        .batch_execute("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;")
        .map_err(failed)?;
    let run = connection.immediate_transaction(|connection| {
        let applied = connection.applied_migrations();
        let applied = versions(&applied.map_err(OpenError::Migration)?);
        if applied.contains(MIN_VERSION_SINCE) {
            let needed: Option<Option<String>> = installation::table
                .filter(installation::id.eq(1_i64))
                .select(installation::min_version)
                .first(connection)
                .optional()?;
            judge_not_too_old(known, needed.flatten().as_deref())?;
        }
        let mut pending = source.migrations().map_err(OpenError::Migration)?;
        pending.retain(|migration| !applied.contains(&version_of(&**migration)));
        pending.sort_by_key(|migration| version_of(&**migration));
        if let (Some(last), false) = (applied.last(), pending.is_empty()) {
            // Nobody else writes from here on, so that it lacks nothing.
            copies::make(path, last)?;
        }
        let mut run = Vec::new();
        for migration in &pending {
            let name = migration.name().to_string();
            if let Err(source) = connection.run_migration(&**migration) {
                return Err(OpenError::MigrationFailed {
                    migration: name,
                    source,
                }
                .into());
            }
            run.push(name);
        }
        if !run.is_empty() {
            check_references(connection)?;
        }
        Ok::<_, TransactionError>(run)
    });
    let run = run.map_err(|error| error.0)?;
    for migration in &run {
        tracing::info!(migration, "a migration was run");
    }
    Ok(run)
}

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Text)]
    parent: String,
}

/// What the database itself checks no more while tables are rebuilt.
fn check_references(connection: &mut SqliteConnection) -> Result<(), TransactionError> {
    let broken = diesel::sql_query(
        "SELECT \"table\" AS child, parent FROM pragma_foreign_key_check LIMIT 1",
    );
    match broken.get_result::<Broken>(connection).optional()? {
        None => Ok(()),
        Some(Broken { child, parent }) => Err(OpenError::References { child, parent }.into()),
    }
}

struct TransactionError(OpenError);

impl From<OpenError> for TransactionError {
    fn from(error: OpenError) -> Self {
        Self(error)
    }
}

impl From<QueryError> for TransactionError {
    fn from(error: QueryError) -> Self {
        Self(failed(error))
    }
}

fn failed(error: QueryError) -> OpenError {
    OpenError::Migration(Box::new(error))
}
