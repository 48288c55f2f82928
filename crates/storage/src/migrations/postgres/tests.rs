use std::fs;

use diesel_migrations::FileBasedMigrations;
use remotegpu_test_support::postgres::{TestDatabase, TestPostgres};
use tempfile::TempDir;

use super::*;
use crate::{Database, DatabaseOptions, migrations::SQLITE};

/// Migrations of a test's own.
struct Set(TempDir);

impl Set {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, sql: &str) -> Self {
        let folder = self.0.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("up.sql"), sql).unwrap();
        if sql.contains("CONCURRENTLY") {
            fs::write(folder.join("metadata.toml"), "run_in_transaction = false\n").unwrap();
        }
        self
    }

    fn source(&self) -> FileBasedMigrations {
        FileBasedMigrations::from_path(self.0.path()).unwrap()
    }
}

fn impatient() -> Patience {
    Patience {
        pause: Duration::from_millis(300),
        look: Duration::from_millis(50),
        ..Patience::default()
    }
}

async fn migrate(
    database: &TestDatabase,
    set: &Set,
    patience: Patience,
) -> Result<Vec<String>, OpenError> {
    let opened = Database::connect(&database.url(), DatabaseOptions::default()).await;
    let opened = opened.unwrap();
    opened.migrate_from(set.source(), SQLITE, patience).await
}

fn fresh() -> TestDatabase {
    TestPostgres::shared().unwrap().create_database().unwrap()
}

/// A connection past everything, which has run this and keeps what it holds until it is
/// dropped.
async fn holding(database: &TestDatabase, sql: &str) -> tokio_postgres::Client {
    let (client, driver) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(driver);
    client.batch_execute(sql).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_starters_make_an_index_concurrently_once() {
    // R6: who waits *in* pg_advisory_lock is in a transaction, for whose end the other's
    // CREATE INDEX CONCURRENTLY waits. Tried: `deadlock detected` is what becomes of both.
    let database = fresh();
    let set = Set::new()
        .with(
            "2000-01-01-000000_table",
            "CREATE TABLE things AS SELECT g AS x FROM generate_series(1, 1000) g; \
             SELECT pg_sleep(1.5);",
        )
        .with(
            "2000-01-01-000001_index",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_x ON things (x);",
        );
    let both = async {
        tokio::join!(
            migrate(&database, &set, impatient()),
            migrate(&database, &set, impatient())
        )
    };
    let both = tokio::time::timeout(Duration::from_secs(30), both).await;
    let (one, other) = both.expect("each waits for the other");
    let mut counts = [one.unwrap().len(), other.unwrap().len()];
    counts.sort_unstable();
    assert_eq!(counts, [0, 2]);
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_x'::regclass";
    assert_eq!(database.query(valid).unwrap(), "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lock_is_waited_for_a_second_at_a_time_and_asked_for_again() {
    // R6
    let database = fresh();
    database
        .query("CREATE TABLE things AS SELECT 1 AS x")
        .unwrap();
    let set = Set::new().with(
        "2000-01-01-000000_column",
        "ALTER TABLE things ADD COLUMN y bigint;",
    );
    // A dump, say.
    let dump = holding(&database, "BEGIN; SELECT count(*) FROM things").await;
    let began = Instant::now();
    let opened = Database::connect(&database.url(), DatabaseOptions::default()).await;
    let opened = opened.unwrap();
    let source = set.source();
    let migrating = tokio::spawn(async move {
        let patience = impatient();
        opened.migrate_from(source, SQLITE, patience).await
    });
    let client = holding(&database, "").await;
    let (mut dump, mut slowest, mut count) = (Some(dump), Duration::ZERO, 0);
    while !migrating.is_finished() {
        let asked = Instant::now();
        client.query("SELECT x FROM things", &[]).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        count += 1;
        if began.elapsed() > 5 * impatient().lock {
            dump = None;
        }
    }
    assert!(dump.is_none(), "the dump was waited for");
    assert_eq!(migrating.await.unwrap().unwrap().len(), 1);
    let took = began.elapsed();
    assert!(
        slowest < took / 2,
        "the slowest of {count} requests took {slowest:?} of {took:?}"
    );
    assert!(count > 10, "{count}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_that_was_never_finished_is_made_again() {
    // R6
    let database = fresh();
    database
        .query("CREATE TABLE things AS SELECT 1 AS x FROM generate_series(1, 2)")
        .unwrap();
    let unique = "CREATE UNIQUE INDEX CONCURRENTLY things_x ON things (x)";
    assert!(database.query(unique).is_err());
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_x'::regclass";
    assert_eq!(database.query(valid).unwrap(), "f", "what is left of it");
    let set = Set::new().with(
        "2000-01-01-000000_index",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_x ON things (x);",
    );
    let run = migrate(&database, &set, impatient()).await.unwrap();
    assert_eq!(run, ["2000-01-01-000000_index"]);
    assert_eq!(database.query(valid).unwrap(), "t");
    // One that was made, and whose row was lost with the process, does no harm.
    database
        .query("DELETE FROM __diesel_schema_migrations")
        .unwrap();
    assert_eq!(
        migrate(&database, &set, impatient()).await.unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_migration_that_cannot_work_is_named_at_once_and_those_before_it_stand() {
    let database = fresh();
    let set = Set::new()
        .with("2000-01-01-000000_table", "CREATE TABLE things (x bigint);")
        .with(
            "2000-01-01-000001_wrong",
            "ALTER TABLE thongs ADD y bigint;",
        );
    let began = Instant::now();
    let error = migrate(&database, &set, impatient()).await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "it is not tried again"
    );
    assert_eq!(
        error.to_string(),
        "migration 2000-01-01-000001_wrong could not be run"
    );
    let applied = "SELECT version FROM __diesel_schema_migrations";
    assert_eq!(database.query(applied).unwrap(), "20000101000000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_instance_that_never_ends_is_not_waited_for_for_ever() {
    let database = fresh();
    let set = Set::new();
    let hold = format!("SELECT pg_advisory_lock({LOCK})");
    let _other = holding(&database, &hold).await;
    let patience = Patience {
        others: Duration::from_secs(1),
        ..impatient()
    };
    let error = migrate(&database, &set, patience).await.unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
}
