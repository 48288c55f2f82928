//! Migrations on PostgreSQL, under instances that work (contract R6).

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
    pg::Pg,
    result::Error as QueryError,
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use diesel_migrations::MigrationHarness;

use super::{MIN_VERSION_SINCE, judge_not_too_old, version_of, versions};
use crate::{error::OpenError, schema::installation};

/// A connection that blocks.
type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;

/// The key of PostgreSQL's lock around migrations; any number that nobody else
/// uses in this database ("remotegp" in ASCII).
pub const LOCK: i64 = 0x7265_6d6f_7465_6770;

diesel::define_sql_function! {
    /// Takes a lock that the session holds until it ends, if nobody holds it.
    fn pg_try_advisory_lock(key: BigInt) -> Bool;
}

/// How long what is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a statement waits for a lock. Whoever comes after it waits behind it,
    /// and that is every request.
    pub lock: Duration,
    /// How long requests have the table for themselves before the next attempt.
    pub pause: Duration,
    /// For how long one migration is attempted.
    pub attempts: Duration,
    /// For how long another instance may be at work.
    pub others: Duration,
    /// How often it looks whether it is.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(1),
            pause: Duration::from_secs(2),
            attempts: Duration::from_mins(5),
            others: Duration::from_mins(30),
            look: Duration::from_millis(500),
        }
    }
}

/// How often the log is told that something is still waited for.
const TELL_EVERY: Duration = Duration::from_secs(15);

/// Runs what is missing, and answers what that was; blocks.
pub fn run(
    connection: AsyncPgConnection,
    source: &impl MigrationSource<Pg>,
    known: &BTreeSet<String>,
    patience: Patience,
) -> Result<Vec<String>, OpenError> {
    let mut connection = Blocking::from(connection);
    // A request's time is not a migration's.
    let set = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    connection.batch_execute(set).map_err(failed)?;
    take_turn(&mut connection, patience)?;
    let applied = connection.applied_migrations();
    let applied = versions(&applied.map_err(OpenError::Migration)?);
    if applied.contains(MIN_VERSION_SINCE) {
        let needed: Option<Option<String>> = installation::table
            .filter(installation::id.eq(1_i64))
            .select(installation::min_version)
            .first(&mut connection)
            .optional()
            .map_err(failed)?;
        judge_not_too_old(known, needed.flatten().as_deref())?;
    }
    let mut run = Vec::new();
    let mut pending = source.migrations().map_err(OpenError::Migration)?;
    pending.retain(|migration| !applied.contains(&version_of(&**migration)));
    pending.sort_by_key(|migration| version_of(&**migration));
    for migration in &pending {
        run_one(&mut connection, &**migration, patience)?;
        run.push(migration.name().to_string());
    }
    Ok(run)
}

/// Waits until no other instance migrates. It asks again and again: who waits *in*
/// the question is in a transaction meanwhile, and an index that the other makes
/// CONCURRENTLY waits for the end of every transaction. PostgreSQL would find that each
/// waits for the other, and end the migration.
fn take_turn(connection: &mut Blocking, patience: Patience) -> Result<(), OpenError> {
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let mine: bool = diesel::select(pg_try_advisory_lock(LOCK))
            .get_result(connection)
            .map_err(failed)?;
        if mine {
            return Ok(());
        }
        if began.elapsed() > patience.others {
            return Err(OpenError::Busy {
                minutes: patience.others.as_secs() / 60,
            });
        }
        if told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            told = Some(Instant::now());
            tracing::info!("another instance brings the schema up to date, and is waited for");
        }
        thread::sleep(patience.look);
    }
}

/// How often what is made CONCURRENTLY is tried.
const CONCURRENT_TRIES: u32 = 3;

fn run_one(
    connection: &mut Blocking,
    migration: &dyn Migration<Pg>,
    patience: Patience,
) -> Result<(), OpenError> {
    let name = migration.name().to_string();
    let in_transaction = migration.metadata().run_in_transaction();
    let (began, mut told) = (Instant::now(), None::<Instant>);
    let mut tries = 0;
    loop {
        let attempted = Instant::now();
        let Err(source) = attempt(connection, migration, patience) else {
            tracing::info!(migration = name, "a migration was run");
            return Ok(());
        };
        // The server says in its own language that a lock was not to be had, and Diesel
        // keeps its code to itself. That it took as long as that says the same.
        // What is made CONCURRENTLY may be ended because somebody waits for us meanwhile.
        let again = if in_transaction {
            attempted.elapsed() >= patience.lock
        } else {
            tries += 1;
            tries < CONCURRENT_TRIES
        };
        if !again || began.elapsed() > patience.attempts {
            return Err(OpenError::MigrationFailed {
                migration: name,
                source,
            });
        }
        if told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            told = Some(Instant::now());
            tracing::warn!(
                migration = name,
                error = %source,
                "a migration did not get its locks, because something else holds them, and is \
                 tried again"
            );
        }
        thread::sleep(patience.pause);
    }
}

type Attempt = diesel::migration::Result<()>;

fn attempt(
    connection: &mut Blocking,
    migration: &dyn Migration<Pg>,
    patience: Patience,
) -> Attempt {
    if migration.metadata().run_in_transaction() {
        let lock = patience.lock.as_millis();
        connection.batch_execute(&format!("SET lock_timeout = {lock}"))?;
    } else {
        // What is done CONCURRENTLY waits for transactions to end, a dump's perhaps, and
        // nobody waits behind it meanwhile; given up, it would begin from the beginning.
        connection.batch_execute("SET lock_timeout = 0")?;
        drop_unfinished_indexes(connection)?;
    }
    connection.run_migration(migration)?;
    Ok(())
}

#[derive(QueryableByName)]
struct IndexName {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Removes what an index left behind that was to be made CONCURRENTLY and was not: it
/// costs every write and serves no query, and its name is taken.
fn drop_unfinished_indexes(connection: &mut Blocking) -> Attempt {
    let unfinished: Vec<IndexName> = diesel::sql_query(
        "SELECT format('%I.%I', n.nspname, c.relname) AS name \
         FROM pg_index i \
         JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT i.indisvalid AND n.nspname = current_schema() \
         AND c.relkind = 'i' AND pg_has_role(c.relowner, 'USAGE') \
         AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p \
                         WHERE p.index_relid = i.indexrelid)",
    )
    .load(connection)?;
    for index in unfinished {
        tracing::warn!(
            index = index.name,
            "an index that was never finished is removed"
        );
        connection.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name))?;
    }
    Ok(())
}

fn failed(error: QueryError) -> OpenError {
    OpenError::Migration(Box::new(error))
}
