//! The two databases, each filled past the API: a million keys through it would take
//! hours.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use remotegpu_test_support::postgres::{TestDatabase, TestPostgres};
use tempfile::TempDir;

use crate::{dataset::Dataset, progress::say, server::Server};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A database with a data set in it.
pub struct Store {
    pub backend: Backend,
    postgres: Option<TestDatabase>,
    /// Where the first server, which made the schema, kept its data.
    folder: TempDir,
}

impl Store {
    /// Makes a database, has a server make the schema, and loads the data set.
    pub fn filled(backend: Backend, data: &Dataset) -> Result<Self> {
        say(format_args!("{backend}: loading {} keys", data.keys.len()));
        let postgres = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(TestPostgres::shared()?.create_database()?),
        };
        let store = Self {
            backend,
            postgres,
            folder: tempfile::tempdir()?,
        };
        Server::start_in(&store, store.folder.path(), &[])?.stop()?;
        match &store.postgres {
            None => load_sqlite(&database_file(store.folder.path()), data)?,
            Some(database) => load_postgres(database, data)?,
        }
        Ok(store)
    }

    /// The flags for a server that keeps its data in `folder`. PostgreSQL is shared by
    /// all servers, as instances do; a SQLite database has one server, so that each gets
    /// a copy.
    pub fn flags(&self, folder: &Path) -> Result<Vec<String>> {
        let mut flags = vec![format!("--data-dir={}", folder.display())];
        match &self.postgres {
            Some(database) => flags.push(format!("--database-url={}", database.url())),
            None if folder == self.folder.path() => {}
            None => {
                fs::create_dir_all(folder)?;
                let (from, to) = (database_file(self.folder.path()), database_file(folder));
                if !to.exists() {
                    fs::copy(&from, &to).context("copying the SQLite database")?;
                }
            }
        }
        Ok(flags)
    }
}

fn database_file(folder: &Path) -> PathBuf {
    folder.join("remotegpu.db")
}

fn load_postgres(database: &TestDatabase, data: &Dataset) -> Result<()> {
    for table in &data.tables {
        let (name, columns, file) = (table.name, table.columns, table.path.display());
        database.query(&format!("\\copy {name} ({columns}) FROM '{file}' CSV"))?;
    }
    // Now, rather than by autovacuum in the middle of a round.
    database.query("VACUUM ANALYZE")?;
    Ok(())
}

/// Through Python's own module: SQL is spoken by `storage` alone, and that has no way to
/// load a file.
fn load_sqlite(database: &Path, data: &Dataset) -> Result<()> {
    const SCRIPT: &str = include_str!("load_sqlite.py");
    let python = std::env::var("REMOTEGPU_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(database);
    for table in &data.tables {
        command.args([table.name, table.columns]).arg(&table.path);
    }
    let output = command.output().context("running Python")?;
    if !output.status.success() {
        bail!("Python: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
