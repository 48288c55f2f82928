//! Where `remotegpu login` keeps what it got: one entry for each server.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files::{self, Existing};
use crate::secret::Secret;

/// More than one more session takes.
const ENTRY_SIZE: usize = 1024;
/// Each change takes milliseconds; a hundred at once take their turns.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The sessions of this user, by the server's address.
pub struct SessionFile {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    sessions: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// Called as the server's answer calls it.
    #[serde(rename = "access_token")]
    session_token: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl SessionFile {
    /// The file in this user's own folder.
    pub fn locate() -> Result<Self> {
        let folder = files::config_folder()
            .context("neither XDG_CONFIG_HOME nor HOME names a folder to keep the session in")?;
        Ok(Self {
            path: folder.join("session.json"),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session token for a server, if one was stored.
    pub fn find(&self, server: &str) -> Result<Option<Secret>> {
        let entry = self.read()?.sessions.remove(server);
        Ok(entry.map(|entry| Secret::new(entry.session_token)))
    }

    /// Fails where no session could be stored, with the reason.
    pub fn try_to_store(&self) -> Result<()> {
        self.change(|path, document| {
            let mut contents = serde_json::to_vec_pretty(document)?;
            contents.resize(contents.len() + ENTRY_SIZE, b' ');
            files::try_beside(path, &contents)
                .map_err(|error| files::failure("cannot write", path, &error))
        })
    }

    /// Keeps a session; the answer is the one that it takes the place of.
    pub fn store(
        &self,
        server: &str,
        session_token: &Secret,
        expires_at: &str,
    ) -> Result<Option<Secret>> {
        self.change(|path, document| {
            let entry = Entry {
                session_token: session_token.reveal().to_owned(),
                rest: serde_json::Map::from_iter([("expires_at".to_owned(), expires_at.into())]),
            };
            let replaced = document.sessions.insert(server.to_owned(), entry);
            write(path, document)?;
            Ok(replaced.map(|entry| Secret::new(entry.session_token)))
        })
    }

    /// Forgets this session, and none that somebody has opened meanwhile.
    pub fn forget(&self, server: &str, session_token: &Secret) -> Result<()> {
        self.change(|path, document| match document.sessions.get(server) {
            Some(entry) if entry.session_token == session_token.reveal() => {
                document.sessions.remove(server);
                write(path, document)
            }
            _ => Ok(()),
        })
    }

    /// Runs while no other process changes the file.
    fn change<T>(&self, change: impl FnOnce(&Path, &mut Document) -> Result<T>) -> Result<T> {
        let folder = self
            .path
            .parent()
            .context("the session file needs a folder")?;
        files::make_private_folder(folder)
            .map_err(|error| files::failure("cannot make the folder", folder, &error))?;
        // The file itself is replaced by each change, so that its lock would be another one.
        let path = files::follow(&self.path)
            .map_err(|error| files::failure("cannot write", &self.path, &error))?;
        let _lock = lock(&path.with_extension("lock"))?;
        change(&path, &mut self.read()?)
    }

    fn read(&self) -> Result<Document> {
        match fs::read(&self.path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(document) => Ok(document),
                // The parser's own words may quote what stands in the file.
                Err(_) => bail!(
                    "{} is not a session file; remove it and sign in again",
                    self.path.display()
                ),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Document::default()),
            Err(error) => Err(files::failure("cannot read", &self.path, &error)),
        }
    }
}

fn write(path: &Path, document: &Document) -> Result<()> {
    let contents = serde_json::to_vec_pretty(document)?;
    files::write(path, &contents, Existing::Narrow)
}

/// Waits for the processes before this one. Where the file system knows no locks there are none.
fn lock(path: &Path) -> Result<File> {
    let file =
        files::open_lock(path).map_err(|error| files::failure("cannot write", path, &error))?;
    let end = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => bail!(
                "another process has held {} for {} seconds; end it and try again",
                path.display(),
                LOCK_WAIT.as_secs()
            ),
            Err(TryLockError::Error(error)) if knows_no_locks(&error) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(files::failure("cannot lock", path, &error));
            }
        }
    }
}

/// Network file systems without a daemon for locks have a word of their own for it.
fn knows_no_locks(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    error.kind() == ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_kept_by_server() {
        let folder = tempfile::tempdir().unwrap();
        let file = SessionFile {
            path: folder.path().join("a/b/session.json"),
        };
        let token = |text: &str| Secret::new(text.to_owned());
        assert!(file.find("https://one").unwrap().is_none());
        file.store("https://one", &token("first"), "x").unwrap();
        file.store("https://two", &token("second"), "x").unwrap();
        file.store("https://one", &token("third"), "x").unwrap();
        assert_eq!(file.find("https://one").unwrap().unwrap().reveal(), "third");
        file.forget("https://one", &Secret::new("another".to_owned()))
            .unwrap();
        let first = file.find("https://one").unwrap().unwrap();
        file.forget("https://one", &first).unwrap();
        file.forget("https://one", &first).unwrap();
        assert!(file.find("https://one").unwrap().is_none());
        assert_eq!(
            file.find("https://two").unwrap().unwrap().reveal(),
            "second"
        );
        file.try_to_store().unwrap();
        let left = fs::read_dir(folder.path().join("a/b")).unwrap();
        assert_eq!(left.count(), 2, "the file and its lock");
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = SessionFile {
            path: folder.path().join("session.json"),
        };
        fs::write(file.path(), r#"{"sessions":{"s":"secret-token"}}"#).unwrap();
        let Err(error) = file.find("s") else {
            panic!("a broken file was read");
        };
        assert!(!format!("{error:#}").contains("secret-token"));
    }
}
