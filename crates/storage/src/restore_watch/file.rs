//! SQLite's file, as it stands on the disk.
//!
//! Who copies an old file over it, instead of putting it in its place, changes nothing
//! that a connection sees: the newest rows stand in the log beside the file, and win. So
//! the pulse is read from the file alone as well. There it is as old as the last
//! checkpoint, and it never goes back there either.

use std::{fmt::Write, fs, io, os::unix::fs::MetadataExt, path::Path};

use diesel::{
    Connection, QueryDsl, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error as QueryError},
};
use time::{Duration, OffsetDateTime};

use super::RestoreSign;
use crate::{schema::pulse, types::DbTime};

/// Device and inode.
type FileId = (u64, u64);

/// The file as it was opened, and how far it had come.
#[derive(Debug, Clone)]
pub struct WatchedFile {
    id: Option<FileId>,
    newest: Option<OffsetDateTime>,
}

/// The pulse in the file.
enum OnDisk {
    Pulse(OffsetDateTime),
    /// Its row is not there.
    NoRow,
    /// There is no such table in it, or nothing at all.
    NoTable,
    /// It cannot be read just now: a checkpoint may be at work on it.
    Unreadable,
}

impl WatchedFile {
    pub fn new(path: &Path) -> Self {
        Self {
            // One that cannot be looked at just now is looked at next time.
            id: file_id(path).ok().flatten(),
            newest: None,
        }
    }

    /// Whether a pulse of the database was not yet seen in the file.
    pub fn lags_behind(&self, pulse: Option<OffsetDateTime>) -> bool {
        self.newest < pulse
    }

    /// Looks whether it is another file, or was overwritten; blocks.
    pub fn look(&mut self, path: &Path) -> Option<RestoreSign> {
        // A folder that cannot be read just now shows nothing.
        let found = file_id(path).ok()?;
        if self.id.is_none() {
            self.id = found;
        }
        if found != self.id {
            return Some(RestoreSign::OtherFile);
        }
        match (self.newest, on_disk(path)) {
            (Some(before), OnDisk::Pulse(now)) if now < before => {
                let by: Duration = before - now;
                Some(RestoreSign::WentBack { by })
            }
            (_, OnDisk::Pulse(now)) => {
                self.newest = Some(now);
                None
            }
            (Some(_), OnDisk::NoRow) => Some(RestoreSign::Emptied),
            (Some(_), OnDisk::NoTable) => Some(RestoreSign::Overwritten),
            // What is new there has not come to the file yet.
            (None, OnDisk::NoRow | OnDisk::NoTable) | (_, OnDisk::Unreadable) => None,
        }
    }
}

/// Absent where there is no file.
fn file_id(path: &Path) -> io::Result<Option<FileId>> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn on_disk(path: &Path) -> OnDisk {
    let read = || -> Result<DbTime, QueryError> {
        // An immutable file has no log, as far as SQLite minds.
        let url = format!("file:{}?immutable=1&mode=ro", in_url(path));
        let mut connection = SqliteConnection::establish(&url)
            .map_err(|error| QueryError::QueryBuilderError(Box::new(error)))?;
        connection.batch_execute("PRAGMA query_only = ON")?;
        pulse::table.select(pulse::pulsed_at).first(&mut connection)
    };
    match read() {
        Ok(time) => OnDisk::Pulse(time.into()),
        Err(QueryError::NotFound) => OnDisk::NoRow,
        Err(QueryError::DatabaseError(DatabaseErrorKind::Unknown, told))
            if told.message().contains("no such table") =>
        {
            OnDisk::NoTable
        }
        Err(_) => OnDisk::Unreadable,
    }
}

/// A path as SQLite's URLs have it.
fn in_url(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // To a text this never fails.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_the_same_in_a_url() {
        let check = |path: &str, expected: &str| assert_eq!(in_url(Path::new(path)), expected);
        check("/var/lib/remote-gpu/a_b.db", "/var/lib/remote-gpu/a_b.db");
        check("/a b/c?d#e%f.db", "/a%20b/c%3Fd%23e%25f.db");
        check("/ü.db", "/%C3%BC.db");
    }
}
