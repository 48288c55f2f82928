//! Connections to SQLite.

use std::{
    error::Error,
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use diesel::{
    Connection, SqliteConnection, connection::SimpleConnection, result::Error as QueryError,
};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    connection::Lease,
    error::{ConnectError, OpenError},
};

/// How long another process that is at work on the file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A SQLite connection whose statements run on threads that may block.
pub type LiteConnection = SyncConnectionWrapper<SqliteConnection, Detached>;

/// Lets a statement that was begun come to its end when nobody waits for it any
/// more. The wrapper's own way is to wait for it in `drop`, which the
/// single-threaded runtimes of HTTP workers answer with a panic.
pub struct Detached;

impl SpawnBlocking for Detached {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        tokio::task::spawn_blocking(task).map_err(Box::from).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading; such a connection refuses to write.
    Read,
    /// Writing; what is committed survives a power cut.
    Write,
}

/// Makes connections to one file.
#[derive(Debug, Clone)]
pub struct LiteManager {
    path: PathBuf,
    purpose: Purpose,
}

impl LiteManager {
    pub fn new(path: PathBuf, purpose: Purpose) -> Self {
        Self { path, purpose }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a connection; blocks.
    pub fn open(&self) -> Result<SqliteConnection, ConnectError> {
        let path = self.path.to_string_lossy();
        let mut connection = SqliteConnection::establish(&path)?;
        // The timeout comes first: another process may be at work on the file.
        let shared = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";
        let own = match self.purpose {
            Purpose::Write => "PRAGMA synchronous = FULL;",
            Purpose::Read => "PRAGMA query_only = ON;",
        };
        connection.batch_execute(shared)?;
        if self.purpose == Purpose::Write {
            write_ahead(&mut connection)?;
        }
        connection.batch_execute(own)?;
        Ok(connection)
    }
}

/// Has the file written ahead. A file is turned to that once, and who does it while
/// another process is at work on it is told at once that it is locked: SQLite's own
/// patience does not count there.
fn write_ahead(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    let began = Instant::now();
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(QueryError::DatabaseError(_, told))
                if told.message().contains("locked") && began.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            done => return Ok(done?),
        }
    }
}

impl bb8::ManageConnection for LiteManager {
    type Connection = Lease<LiteConnection>;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Self::Connection, ConnectError> {
        let manager = self.clone();
        let opened = tokio::task::spawn_blocking(move || manager.open()).await;
        let connection = opened.map_err(|_| ConnectError::Ended)??;
        Ok(Lease::new(SyncConnectionWrapper::with_runtime(
            connection, Detached,
        )))
    }

    async fn is_valid(&self, _: &mut Self::Connection) -> Result<(), ConnectError> {
        Ok(())
    }

    fn has_broken(&self, lease: &mut Self::Connection) -> bool {
        lease.is_in_use()
    }
}

/// Makes sure that the file is there and nobody else's to read.
pub fn prepare_file(path: &Path) -> Result<PathBuf, OpenError> {
    let prepare = || -> io::Result<PathBuf> {
        // An absolute path is never taken for a URI by SQLite.
        let path = std::path::absolute(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(path)
    };
    prepare().map_err(|source| OpenError::File {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
