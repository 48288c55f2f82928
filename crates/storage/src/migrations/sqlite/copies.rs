//! Copies of a SQLite file, made before its schema is changed.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use diesel::{Connection, RunQueryDsl, SqliteConnection, sql_types::Text};

use crate::error::OpenError;

/// How many are kept: that of the last upgrade, and of the one before.
const KEPT: usize = 2;

/// Between the name of the file and the last migration that the copy has.
const MARK: &str = ".schema-";

/// Copies the database to a file beside it, `remotegpu.db.schema-20261121000002`, for its
/// owner alone, and removes those of long ago. Without a copy nothing is migrated.
pub fn make(database: &Path, version: &str) -> Result<(), OpenError> {
    let copy = beside(database, &format!("{MARK}{version}"));
    let failed = |source: Box<dyn Error + Send + Sync>| OpenError::Copy {
        path: copy.clone(),
        source,
    };
    write(database, &copy).map_err(failed)?;
    tracing::info!(copy = %copy.display(), "the database was copied before it is migrated");
    remove_old(database).map_err(|error| failed(error.into()))
}

fn write(database: &Path, copy: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Under another name until it is whole.
    let unfinished = beside(copy, ".unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // SQLite writes into an empty file, and leaves it to whom it belongs.
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished);
    drop(options?);
    // A reader of its own: what is committed, while the writer keeps others out.
    let mut reader = SqliteConnection::establish(&database.to_string_lossy())?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(unfinished.to_string_lossy())
        .execute(&mut reader)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, copy)?;
    if let Some(folder) = copy.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn remove_old(database: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return Ok(());
    };
    let start = format!("{}{MARK}", name.to_string_lossy());
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let version = found.to_str().and_then(|name| name.strip_prefix(&start));
        if version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit())) {
            copies.push(entry.path());
        }
    }
    // Versions begin with their dates.
    copies.sort();
    for old in copies.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
