//! Where `remotegpu login` keeps what it got: one entry for each server.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::secret::Secret;

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
    /// The file in `$XDG_CONFIG_HOME/remotegpu`, or `~/.config/remotegpu`.
    pub fn locate() -> Result<Self> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let config = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")))
            .context("neither XDG_CONFIG_HOME nor HOME names a folder to keep the session in")?;
        Ok(Self {
            path: config.join("remotegpu").join("session.json"),
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

    pub fn store(&self, server: &str, session_token: &Secret, expires_at: &str) -> Result<()> {
        let mut document = self.read()?;
        let entry = Entry {
            session_token: session_token.reveal().to_owned(),
            rest: serde_json::Map::from_iter([("expires_at".to_owned(), expires_at.into())]),
        };
        document.sessions.insert(server.to_owned(), entry);
        self.write(&document)
    }

    pub fn forget(&self, server: &str) -> Result<()> {
        let mut document = self.read()?;
        match document.sessions.remove(server) {
            Some(_) => self.write(&document),
            None => Ok(()),
        }
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
            Err(error) => {
                Err(error).with_context(|| format!("cannot read {}", self.path.display()))
            }
        }
    }

    fn write(&self, document: &Document) -> Result<()> {
        let folder = self
            .path
            .parent()
            .context("the session file needs a folder")?;
        make_private_folder(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        write_private(&self.path, &serde_json::to_vec_pretty(document)?)
    }
}

/// Writes a file that its owner alone can read, as a whole or not at all.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        // A temporary file is made with mode 0600 and keeps it when it gets its name.
        let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    // A folder that was there before may be open to others.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
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
        file.forget("https://one").unwrap();
        file.forget("https://one").unwrap();
        assert!(file.find("https://one").unwrap().is_none());
        assert_eq!(
            file.find("https://two").unwrap().unwrap().reveal(),
            "second"
        );
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
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
