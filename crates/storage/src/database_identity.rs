//! Which database this is, whatever is in it (contract R9).

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use diesel::{QueryableByName, sql_query, sql_types::BigInt};
use remotegpu_primitives::StoreError;
use uuid::Uuid;

use crate::{Database, connection::with_conn, database::Source, either::RunQuery};

/// A word for one database. A copy that another PostgreSQL server serves, or that
/// stands beside the original, has another; one that was restored in place has the
/// same, and so has a copy of all files of a server or of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseIdentity(String);

impl DatabaseIdentity {
    /// The word: short, without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `PostgreSQL` makes the first when a server's data is made, and gives the second to
/// no other database of that server again.
const ON_POSTGRES: &str = "
    SELECT (SELECT system_identifier FROM pg_control_system()) AS system,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database";

#[derive(QueryableByName)]
struct PostgresRow {
    #[diesel(sql_type = BigInt)]
    system: i64,
    #[diesel(sql_type = BigInt)]
    database: i64,
}

/// How often the word is looked for while another process writes it.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl Database {
    /// Which database this is. For PostgreSQL what the server says; for SQLite a word
    /// in a file beside the database's, which is made if there is none: it stays where
    /// it is when another database takes the place of this one.
    ///
    /// # Errors
    /// The database does not answer, or the file cannot be read or made.
    pub async fn identity(&self) -> Result<DatabaseIdentity, StoreError> {
        match self.source() {
            Source::Postgres(_) => {
                let row: PostgresRow = with_conn!(self, read, |c| Ok(sql_query(ON_POSTGRES)
                    .get_result(c)
                    .await?))?;
                let PostgresRow { system, database } = row;
                // The server counts without a sign.
                let system = u64::from_ne_bytes(system.to_ne_bytes());
                Ok(DatabaseIdentity(format!("postgresql-{system}-{database}")))
            }
            Source::Sqlite(manager) => {
                let path = word_path(manager.path());
                let read = tokio::task::spawn_blocking(move || read_or_make(&path)).await;
                read.map_err(|error| StoreError::Unavailable(Some(Box::new(error))))?
            }
        }
    }
}

fn word_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".identity");
    name.into()
}

/// Blocks.
fn read_or_make(path: &Path) -> Result<DatabaseIdentity, StoreError> {
    let failed = |error: io::Error| StoreError::Unavailable(Some(Box::new(error)));
    for _ in 0..LOOKS {
        match std::fs::read_to_string(path) {
            // Another process is about to write it.
            Ok(text) if text.is_empty() => thread::sleep(BETWEEN_LOOKS),
            Ok(text) => return parse(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => match make(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed(error));
                }
                _ => {}
            },
            Err(error) => return Err(failed(error)),
        }
    }
    parse(path, "")
}

fn make(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("sqlite-{}\n", Uuid::new_v4().simple()).as_bytes())?;
    file.sync_all()
}

fn parse(path: &Path, text: &str) -> Result<DatabaseIdentity, StoreError> {
    let word = text.trim();
    let is_ours = word
        .strip_prefix("sqlite-")
        .is_some_and(|id| Uuid::try_parse(id).is_ok());
    if is_ours {
        return Ok(DatabaseIdentity(word.to_owned()));
    }
    let path = path.display();
    Err(StoreError::corrupt(format!(
        "{path} does not hold the word that says which database this is; bring it back, or \
         delete it to have another"
    )))
}
