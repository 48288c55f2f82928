//! The migrations that are compiled in, and whether a database has them (contract R6).
//! `migrations/README.md` says what a migration may do.

mod postgres;
mod sqlite;

use std::collections::BTreeSet;

use diesel::{
    backend::Backend,
    migration::{Migration, MigrationSource, MigrationVersion},
    pg::Pg,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

pub use postgres::{Patience, run as run_on_postgres};
pub use sqlite::run as run_on_sqlite;

use crate::error::OpenError;

/// For PostgreSQL.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
/// For SQLite; both databases have the same versions, and a test says so.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// The migration since which a database says which versions are too old for it.
pub const MIN_VERSION_SINCE: &str = "20261127000001";

/// Diesel's own table of the migrations that were run.
pub mod applied {
    use crate::schema::installation;

    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
        }
    }
    pub use __diesel_schema_migrations::{table, version};
    diesel::allow_tables_to_appear_in_same_query!(__diesel_schema_migrations, installation);
}

/// What a database says of its own schema.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The migrations that it has.
    pub applied: BTreeSet<String>,
    /// The last migration that a program must know that works with it.
    pub min_version: Option<String>,
}

/// A schema that a program can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaAge {
    /// It is this version's own.
    Same,
    /// It has what this version does not know, and need not know.
    Newer,
}

/// The versions of the migrations that this binary knows.
pub fn known() -> Result<BTreeSet<String>, OpenError> {
    versions_of::<Pg>(&POSTGRES)
}

fn versions_of<DB: Backend>(
    source: &impl MigrationSource<DB>,
) -> Result<BTreeSet<String>, OpenError> {
    let migrations = source.migrations().map_err(OpenError::Migration)?;
    let versions = migrations.iter().map(|found| version_of(&**found));
    Ok(versions.collect())
}

/// Whether a program that knows these migrations can work with such a database.
pub fn judge(known: &BTreeSet<String>, found: &Found) -> Result<SchemaAge, OpenError> {
    judge_not_too_old(known, found.min_version.as_deref())?;
    if let Some(missing) = known.difference(&found.applied).next() {
        return Err(OpenError::Older {
            migration: missing.clone(),
        });
    }
    Ok(if found.applied.is_subset(known) {
        SchemaAge::Same
    } else {
        SchemaAge::Newer
    })
}

fn judge_not_too_old(known: &BTreeSet<String>, min_version: Option<&str>) -> Result<(), OpenError> {
    match min_version {
        Some(needed) if !known.contains(needed) => Err(OpenError::TooOld {
            migration: needed.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn version_of<DB: Backend>(migration: &dyn Migration<DB>) -> String {
    migration.name().version().to_string()
}

fn versions(applied: &[MigrationVersion<'static>]) -> BTreeSet<String> {
    applied.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use diesel::sqlite::Sqlite;

    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        assert_eq!(known().unwrap(), versions_of::<Sqlite>(&SQLITE).unwrap());
        assert!(known().unwrap().contains(MIN_VERSION_SINCE));
    }

    #[test]
    fn an_older_schema_is_refused_and_a_newer_one_unless_it_says_so() {
        // R6
        let set = |versions: &[&str]| versions.iter().map(ToString::to_string).collect();
        let known = set(&["1", "2"]);
        let check = |applied: &[&str], min_version: Option<&str>| {
            let found = Found {
                applied: set(applied),
                min_version: min_version.map(str::to_owned),
            };
            judge(&known, &found)
        };
        assert_eq!(check(&["1", "2"], None).unwrap(), SchemaAge::Same);
        assert_eq!(check(&["1", "2"], Some("2")).unwrap(), SchemaAge::Same);
        assert_eq!(check(&["1", "2", "3"], None).unwrap(), SchemaAge::Newer);
        assert_eq!(
            check(&["1", "2", "3"], Some("2")).unwrap(),
            SchemaAge::Newer
        );
        let older = check(&["1"], None).unwrap_err();
        assert!(matches!(older, OpenError::Older { migration } if migration == "2"));
        let older = check(&["1", "3"], None).unwrap_err();
        assert!(matches!(older, OpenError::Older { migration } if migration == "2"));
        for applied in [&["1", "2", "3"][..], &["1", "2"], &["1"]] {
            let too_old = check(applied, Some("3")).unwrap_err();
            assert!(matches!(too_old, OpenError::TooOld { migration } if migration == "3"));
        }
    }

    /// The SQL of the migrations for PostgreSQL since there are rules for them, without
    /// comments, by folder; and whether it runs in a transaction.
    fn since_the_rules() -> BTreeMap<String, (String, bool)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.as_str() < "2026-11-27" {
                continue;
            }
            let up = fs::read_to_string(path.join("up.sql")).unwrap();
            let code = up.lines().map(|line| line.split("--").next().unwrap());
            let metadata = fs::read_to_string(path.join("metadata.toml")).unwrap_or_default();
            let alone = metadata.contains("run_in_transaction = false");
            found.insert(
                name,
                (code.collect::<Vec<_>>().join("\n").to_lowercase(), !alone),
            );
        }
        found
    }

    #[test]
    fn what_runs_outside_of_a_transaction_can_be_run_again() {
        // R6: `kill -9` between the statement and the row that remembers it.
        for (name, (sql, in_transaction)) in since_the_rules() {
            let statements: Vec<&str> = sql
                .split(';')
                .map(str::trim)
                .filter(|statement| !statement.is_empty())
                .collect();
            let concurrently = sql.contains("concurrently");
            assert_eq!(
                concurrently, !in_transaction,
                "{name}: see migrations/README.md"
            );
            if concurrently {
                assert_eq!(statements.len(), 1, "{name}: one statement, by itself");
                assert!(
                    sql.contains("if not exists") || sql.contains("if exists"),
                    "{name}: CREATE INDEX CONCURRENTLY IF NOT EXISTS, so that it can be run again"
                );
            }
        }
    }

    #[test]
    fn migrations_take_nothing_away_from_the_version_before() {
        // R6: the words that a version that is still running would stumble over. What
        // needs one of them needs a min_version too, and its place in this list.
        let allowed = [
            // Of a column that the same migration has made: no version before writes it.
            ("2026-11-27-000030_identity_use", "drop default"),
        ];
        for (name, (sql, _)) in since_the_rules() {
            let words: Vec<&str> = sql.split_whitespace().collect();
            let words = words.join(" ");
            for taken in [
                "drop table",
                "drop column",
                "rename ",
                " type ",
                "set not null",
                "drop default",
                "create trigger",
                "add constraint",
                "add check",
                "add unique",
            ] {
                let excused = allowed.contains(&(name.as_str(), taken));
                let new_tables_only = taken == "create trigger" && sql.contains("create table");
                assert!(
                    !words.contains(taken) || excused || new_tables_only,
                    "{name}: {taken}: see migrations/README.md"
                );
            }
        }
    }
}
