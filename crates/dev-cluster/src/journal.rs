//! The journal: one line of JSON for each change, so that a killed process leaves whole changes.
//!
//! The last line may be torn; it is cut off at the next start, because its change was never
//! answered. A new file that holds only what is left replaces the old one by a rename.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::{error::DevClusterError, store::Key};

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    lines: usize,
    /// Held until the journal is closed, so that nobody else writes beside us.
    lock: Option<File>,
}

type Loaded = BTreeMap<Key, Value>;

impl Journal {
    /// Opens the folder's journal and gives what it holds and the last resource version.
    pub fn open(folder: &Path) -> Result<(Self, Loaded, u64), DevClusterError> {
        let lock_path = folder.join("lock");
        let lock =
            private_file().open(&lock_path).map_err(|error| DevClusterError::Folder(lock_path.clone(), error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DevClusterError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => {
                return Err(DevClusterError::Folder(lock_path, error));
            }
        }
        let path = folder.join("objects.jsonl");
        let failed = |error| DevClusterError::Folder(path.clone(), error);
        let mut file = private_file().open(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        let mut objects = Loaded::new();
        let mut version = 1;
        let mut lines = 0;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            let corrupt = || DevClusterError::Corrupt(path.clone(), format!("line {lines} is not a change"));
            let (key, object, at) = read_line(line).ok_or_else(corrupt)?;
            version = version.max(at);
            match object {
                Value::Null => objects.remove(&key),
                object => objects.insert(key, object),
            };
        }
        let length = whole as u64;
        file.set_len(length).map_err(failed)?;
        Ok((Self { path, file, length, lines, lock: Some(lock) }, objects, version))
    }

    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Takes no more changes and gives the folder free for another journal.
    pub fn close(&mut self) {
        self.lock = None;
    }

    /// Writes one change; after an error the journal is as it was before.
    pub fn append(&mut self, key: &Key, object: Option<&Value>, version: u64) -> io::Result<()> {
        if self.lock.is_none() {
            return Err(io::Error::other("the journal is closed"));
        }
        let line = line(key, object, version);
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Replaces the journal by one that says the same in fewer lines.
    pub fn compact<'a>(
        &mut self,
        objects: impl Iterator<Item = (&'a Key, &'a Arc<Value>)>,
        version: u64,
    ) -> io::Result<()> {
        let new_path = self.path.with_extension("new");
        let mut new = BufWriter::new(private_file().truncate(true).append(false).write(true).open(&new_path)?);
        // The version has to survive although the last change may have been a deletion.
        let mut length = 0;
        let mut lines = 0;
        let marker = line(&Key::new("", "", ""), None, version);
        let rest = objects.map(|(key, object)| line(key, Some(object), version));
        for line in std::iter::once(marker).chain(rest) {
            new.write_all(line.as_bytes())?;
            length += line.len() as u64;
            lines += 1;
        }
        new.into_inner()?.sync_all()?;
        std::fs::rename(&new_path, &self.path)?;
        (self.file, self.length, self.lines) = (private_file().open(&self.path)?, length, lines);
        Ok(())
    }
}

fn line(key: &Key, object: Option<&Value>, version: u64) -> String {
    let mut line = json!([version, key.plural, key.namespace, key.name, object]).to_string();
    line.push('\n');
    line
}

fn read_line(line: &[u8]) -> Option<(Key, Value, u64)> {
    let (version, plural, namespace, name, object): (u64, String, String, String, Value) =
        serde_json::from_slice(line).ok()?;
    Some((Key { plural, namespace, name }, object, version))
}

/// Files of the data folder hold keys and Secrets, so only their owner may read them.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_last_line_is_dropped_and_whole_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _, _) = Journal::open(folder.path()).unwrap();
        journal.append(&Key::new("pods", "a", "one"), Some(&json!({"x": 1})), 2).unwrap();
        journal.append(&Key::new("pods", "a", "two"), Some(&json!({"x": 2})), 3).unwrap();
        journal.append(&Key::new("pods", "a", "two"), None, 4).unwrap();
        journal.file.write_all(b"[5,\"pods\",\"a\",\"thr").unwrap();
        drop(journal);
        let (mut journal, objects, version) = Journal::open(folder.path()).unwrap();
        assert_eq!(objects, Loaded::from([(Key::new("pods", "a", "one"), json!({"x": 1}))]));
        assert_eq!(version, 4);
        let kept: BTreeMap<_, _> = objects.into_iter().map(|(key, object)| (key, Arc::new(object))).collect();
        journal.compact(kept.iter(), 4).unwrap();
        assert_eq!(journal.lines(), 2);
        journal.append(&Key::new("pods", "a", "four"), Some(&json!({})), 5).unwrap();
        drop(journal);
        let (_, objects, version) = Journal::open(folder.path()).unwrap();
        assert_eq!((objects.len(), version), (2, 5));
    }

    #[test]
    fn folder_in_use_and_corrupt_line_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = Journal::open(folder.path()).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(DevClusterError::InUse(_))));
        drop(open);
        std::fs::write(folder.path().join("objects.jsonl"), "nonsense\n").unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(DevClusterError::Corrupt(..))));
    }
}
