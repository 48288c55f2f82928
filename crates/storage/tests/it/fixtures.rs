//! Databases of earlier versions, brought up to date (contract R6).
//!
//! `fixtures/` holds each version's schema, once for each database, with rows in every
//! table; a file is called after the last migration that it has. What stands in them is
//! what [`contents`] writes, so that a database which that version left behind must read,
//! after all migrations since, like one that this version has filled itself.
//!
//! A new version gets its fixture when it is released: `just schema-fixture`.

mod contents;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    sql_types::Text,
};
use remotegpu_storage::{Database, DatabaseOptions};
use remotegpu_test_support::postgres::TestPostgres;

use crate::world::{Guard, World};

/// Set to write the fixture of this version's schema.
const WRITE: &str = "REMOTEGPU_WRITE_SCHEMA_FIXTURE";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures")
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The fixtures of one kind of database: the last migration of each, and its SQL.
fn fixtures(kind: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(version) = name.strip_suffix(&format!(".{kind}.sql")) {
            found.insert(version.to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// A database that was left behind by an earlier version.
async fn left_behind(kind: &str, sql: &str) -> World {
    let (url, guard) = if kind == "sqlite" {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        (url, Guard::Sqlite(folder))
    } else {
        let fresh = TestPostgres::shared().unwrap().create_database().unwrap();
        (fresh.url(), Guard::Postgres(fresh))
    };
    let database = Database::connect(&url, DatabaseOptions::default()).await;
    let world = World {
        database: database.unwrap(),
        url,
        guard,
    };
    world.execute(sql);
    world
}

impl World {
    /// Asks in SQL, past the store: a line for each row.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        match &self.guard {
            Guard::Postgres(database) => {
                let lines = database.query(sql).unwrap();
                lines.lines().map(str::to_owned).collect()
            }
            Guard::Sqlite(folder) => {
                let path = folder.path().join("test.db");
                let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                let sql = format!("SELECT CAST(line AS TEXT) AS line FROM ({sql})");
                let lines: Vec<Line> = diesel::sql_query(sql).load(&mut connection).unwrap();
                lines.into_iter().map(|line| line.line).collect()
            }
        }
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.guard, Guard::Sqlite(_))
    }

    fn tables(&self) -> Vec<String> {
        self.ask(if self.is_sqlite() {
            "SELECT name AS line FROM sqlite_schema WHERE type = 'table' \
             AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'"
        } else {
            "SELECT tablename AS line FROM pg_tables WHERE schemaname = 'public' \
             AND tablename NOT LIKE '\\_\\_diesel%'"
        })
    }

    /// How many rows each table has.
    fn counts(&self) -> BTreeMap<String, String> {
        let count = |table: String| {
            let count = self.ask(&format!("SELECT count(*) AS line FROM {table}"));
            (table, count[0].clone())
        };
        self.tables().into_iter().map(count).collect()
    }

    /// The names of all indexes and triggers.
    pub fn indexes_and_triggers(&self) -> BTreeSet<String> {
        let names = self.ask(if self.is_sqlite() {
            "SELECT type || ' ' || name AS line FROM sqlite_schema \
             WHERE type IN ('index', 'trigger')"
        } else {
            "SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = 'public' \
             UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal"
        });
        names.into_iter().collect()
    }

    /// The whole database as SQL.
    pub fn dump(&self) -> String {
        let Guard::Sqlite(folder) = &self.guard else {
            let Guard::Postgres(database) = &self.guard else {
                unreachable!()
            };
            return database.dump_as_sql().unwrap();
        };
        let path = folder.path().join("test.db");
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        // Neither triggers nor references take part while the rows are put back.
        let mut dump = "PRAGMA foreign_keys = OFF;\nBEGIN;\n".to_owned();
        let schema = |kinds: &str| {
            self.ask(&format!(
                "SELECT sql AS line FROM sqlite_schema WHERE type IN ({kinds}) \
                 AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            ))
        };
        for table in schema("'table'") {
            dump.push_str(&table);
            dump.push_str(";\n");
        }
        let tables = self.ask(
            "SELECT name AS line FROM sqlite_schema WHERE type = 'table' \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        for table in tables.into_iter().chain(["sqlite_sequence".to_owned()]) {
            let columns = self.ask(&format!(
                "SELECT 'quote(\"' || name || '\")' AS line FROM pragma_table_info('{table}')"
            ));
            let values = columns.join(" || ',' || ");
            let rows: Vec<Line> = diesel::sql_query(format!(
                "SELECT 'INSERT INTO {table} VALUES (' || {values} || ');' AS line FROM {table}"
            ))
            .load(&mut connection)
            .unwrap();
            if table == "sqlite_sequence" {
                dump += "DELETE FROM sqlite_sequence;\n";
            }
            for row in rows {
                dump.push_str(&row.line);
                dump.push('\n');
            }
        }
        for object in schema("'index', 'trigger', 'view'") {
            dump.push_str(&object);
            dump.push_str(";\n");
        }
        dump + "COMMIT;\n"
    }
}

async fn every_row_is_read_after_all_migrations(kind: &str) {
    // R6
    let fixtures = fixtures(kind);
    assert!(
        !fixtures.is_empty(),
        "no fixtures in {}",
        folder().display()
    );
    let mut fresh = match kind {
        "sqlite" => World::sqlite().await,
        _ => World::postgres().await,
    };
    contents::fill(&mut fresh, None).await;
    let expected = contents::describe(&fresh).await;
    for (version, sql) in fixtures {
        let mut old = left_behind(kind, &sql).await;
        let (rows, named) = (old.counts(), old.indexes_and_triggers());
        for (table, count) in &rows {
            assert_ne!(count, "0", "{version}: no rows in {table}");
        }
        let applied = old.ask(
            "SELECT version AS line FROM __diesel_schema_migrations ORDER BY version DESC LIMIT 1",
        );
        assert_eq!(
            applied,
            std::slice::from_ref(&version),
            "what the file is called after"
        );

        old.database.migrate().await.unwrap();
        old.database.check().await.unwrap();
        let now = old.counts();
        for (table, count) in rows {
            assert_eq!(now.get(&table), Some(&count), "{version}: rows of {table}");
        }
        let now = old.indexes_and_triggers();
        let lost: Vec<_> = named.difference(&now).collect();
        assert!(lost.is_empty(), "{version}: {lost:?} are gone");
        assert_eq!(now, fresh.indexes_and_triggers(), "{version}");
        // What later versions brought is written into it as into the fresh one.
        contents::fill(&mut old, Some(&version)).await;
        let found = contents::describe(&old).await;
        for (what, expected) in &expected {
            assert_eq!(found.get(what), Some(expected), "{version}: {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_an_older_sqlite_is_read_after_all_migrations() {
    every_row_is_read_after_all_migrations("sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_an_older_postgresql_is_read_after_all_migrations() {
    every_row_is_read_after_all_migrations("postgres").await;
}

/// Both databases as this version fills them have rows in every table; with
/// `REMOTEGPU_WRITE_SCHEMA_FIXTURE` set they are written down as fixtures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixture_has_rows_in_every_table() {
    for (kind, mut world) in [
        ("sqlite", World::sqlite().await),
        ("postgres", World::postgres().await),
    ] {
        contents::fill(&mut world, None).await;
        for (table, count) in world.counts() {
            assert_ne!(count, "0", "no rows in {table}: write some in contents.rs");
        }
        if std::env::var_os(WRITE).is_some() {
            let version = world.ask("SELECT max(version) AS line FROM __diesel_schema_migrations");
            let path = folder().join(format!("{}.{kind}.sql", version[0]));
            fs::write(path, world.dump()).unwrap();
        }
    }
}

/// Puts a fixture's tables and rows into a SQLite file.
#[test]
fn a_dump_of_sqlite_reads_back() {
    let fixtures = fixtures("sqlite");
    let sql = fixtures.values().next().unwrap();
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    connection.batch_execute(sql).unwrap();
}
