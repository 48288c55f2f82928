//! The data directory: one server holds it (contract R1).

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::config::{Config, DatabaseChoice};

/// Holds the data directory until it is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Makes the directory if need be, for its owner alone.
pub fn create(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("data_dir: {} cannot be made", path.display()))
}

/// Makes and locks the directory where the embedded database is in it; another one
/// sees to its users itself.
pub fn lock_for(config: &Config) -> Result<Option<DataDirLock>> {
    match config.database {
        DatabaseChoice::Embedded => {
            create(&config.data_dir)?;
            lock(&config.data_dir).map(Some)
        }
        DatabaseChoice::Url(_) => Ok(None),
    }
}

/// Locks the directory for a server.
pub fn lock(path: &Path) -> Result<DataDirLock> {
    let lock_path = path.join("server.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .with_context(|| format!("data_dir: {} cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock { _file: file }),
        Err(TryLockError::WouldBlock) => bail!(
            "data_dir: another server is using {}; stop it, or give this one a folder of its own",
            path.display()
        ),
        Err(TryLockError::Error(error)) => Err(error)
            .with_context(|| format!("data_dir: {} cannot be locked", lock_path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_holds_a_directory() {
        // R1
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create(&path).unwrap();
        let first = lock(&path).unwrap();
        assert!(
            lock(&path)
                .unwrap_err()
                .to_string()
                .contains("another server")
        );
        drop(first);
        assert!(lock(&path).is_ok());
    }
}
