//! Which of all databases this is, in words that neither a copy nor a restore keeps
//! (contract R9).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use diesel::{
    dsl::sql,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use remotegpu_namespaces::DatabaseIdentity;
use remotegpu_primitives::StoreError;
use uuid::Uuid;

use crate::{Database, connection::with_conn, database::Source};

/// Whether this role may read the server's identifier, and the identifier.
const MAY_READ_SYSTEM: &str = "has_function_privilege('pg_control_system()', 'EXECUTE')";
const SYSTEM_IDENTIFIER: &str = "(SELECT system_identifier::text FROM pg_control_system())";
/// The database within the server, and the one making of a table that every migrated
/// database has: a dump that is restored into the same database makes it anew.
const PLACE: &str = "(SELECT oid::text FROM pg_database WHERE datname = current_database())";
const MAKING: &str = "('installation'::regclass::oid::text)";

impl Database {
    /// Which database it is; nothing where that was never settled.
    pub(crate) async fn identity(&self) -> Result<Option<DatabaseIdentity>, StoreError> {
        match self.source() {
            Source::Postgres(_) => Ok(Some(self.identity_on_postgres().await?)),
            Source::Sqlite(manager) => {
                let path = word_of(manager.path());
                let word = blocking(move || read_word(&path)).await?;
                Ok(word.map(|word| DatabaseIdentity::new(word, None)))
            }
        }
    }

    /// Gives a SQLite database a word of its own, in a file beside it; PostgreSQL has
    /// its own words.
    pub(crate) async fn settle_identity(&self) -> Result<(), StoreError> {
        let Source::Sqlite(manager) = self.source() else {
            return Ok(());
        };
        let path = word_of(manager.path());
        blocking(move || make_word(&path)).await
    }

    async fn identity_on_postgres(&self) -> Result<DatabaseIdentity, StoreError> {
        let (system, place, making) = with_conn!(self, read, |c| {
            let may: bool = diesel::select(sql::<Bool>(MAY_READ_SYSTEM))
                .get_result(c)
                .await?;
            // Asked only where it is allowed: the refusal would be an error.
            let system: String = if may {
                let system = diesel::select(sql::<Text>(SYSTEM_IDENTIFIER));
                system.get_result(c).await?
            } else {
                "-".to_owned()
            };
            let place: String = diesel::select(sql::<Text>(PLACE)).get_result(c).await?;
            let making: String = diesel::select(sql::<Text>(MAKING)).get_result(c).await?;
            Ok((system, place, making))
        })?;
        Ok(DatabaseIdentity::new(
            format!("{system}/{place}"),
            Some(making),
        ))
    }
}

/// The file with the word: beside the database, and not part of its name, so that
/// whoever copies `remotegpu.db*` elsewhere does not take it along.
fn word_of(database: &Path) -> PathBuf {
    database.with_file_name("database-identity")
}

fn read_word(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|word| !word.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Written whole under another name first, and then only where there is none: two who
/// do it at once end with one word.
fn make_word(path: &Path) -> io::Result<()> {
    if read_word(path)?.is_some() {
        return Ok(());
    }
    let word = Uuid::new_v4().simple().to_string();
    let new = path.with_extension(&word);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = writeln!(file, "{word}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(StoreError::Unavailable(Some(Box::new(error)))),
        Err(ended) => Err(StoreError::Unavailable(Some(Box::new(ended)))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_word_that_stays_and_is_its_owners() {
        // R9
        let folder = tempfile::tempdir().unwrap();
        let path = word_of(&folder.path().join("remotegpu.db"));
        assert_eq!(read_word(&path).unwrap(), None);
        let makers: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn({
                    let path = path.clone();
                    move || {
                        make_word(&path).unwrap();
                        read_word(&path).unwrap().unwrap()
                    }
                })
            })
            .collect();
        let words: Vec<String> = makers
            .into_iter()
            .map(|maker| maker.join().unwrap())
            .collect();
        assert!(
            words
                .iter()
                .all(|word| *word == words[0] && word.len() == 32)
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // And nothing else is left behind.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
