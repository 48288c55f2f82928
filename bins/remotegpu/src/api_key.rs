//! Where `kubectl-remotegpu` has its API key from (contract X13).

use std::env;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use url::Url;

use crate::connection::origin;
use crate::files::{self, Existing};
use crate::secret::Secret;

const VARIABLE: &str = "REMOTEGPU_API_KEY";
const FILE_VARIABLE: &str = "REMOTEGPU_API_KEY_FILE";
/// Longer than any file with one key in it.
const FILE_LIMIT: u64 = 4096;

/// A key, and what is to be said about where it was found.
pub struct FoundKey {
    pub secret: Secret,
    pub warning: Option<String>,
}

/// The key for a server; the error is one line.
pub fn find(server: &Url) -> Result<FoundKey> {
    let found = |secret| FoundKey {
        secret,
        warning: None,
    };
    if let Some(text) = env::var_os(VARIABLE)
        && let Some(secret) = read_key(text.as_encoded_bytes(), VARIABLE)?
    {
        return Ok(found(secret));
    }
    if let Some(path) = env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        return in_named_file(Path::new(&path));
    }
    if let Some(path) = kept_at(server)
        && let Some(secret) = in_own_file(&path)?
    {
        return Ok(found(secret));
    }
    bail!(
        "{VARIABLE} is not set: export your API key first, or keep it with `remotegpu --server {} \
         keys use`",
        origin(server)
    )
}

/// A file that others can read is no fault of who mounts secrets.
fn in_named_file(path: &Path) -> Result<FoundKey> {
    let shown = path.display();
    let (text, is_open) = read(path).map_err(|error| {
        let reason = reason(&error);
        anyhow!("cannot read {shown}, which {FILE_VARIABLE} names: {reason}")
    })?;
    let whose = format!("{shown}, which {FILE_VARIABLE} names,");
    let Some(secret) = read_key(&text, &whose)? else {
        bail!("{whose} holds no API key");
    };
    let warning = || format!("others can read {shown}, which holds your API key");
    Ok(FoundKey {
        secret,
        warning: is_open.then(warning),
    })
}

/// Nobody but its owner can read a file that `keys use` has made.
fn in_own_file(path: &Path) -> Result<Option<Secret>> {
    let shown = path.display();
    match read(path) {
        Ok((_, true)) => bail!("others can read {shown}, which holds your API key: chmod 600 it"),
        Ok((text, false)) => match read_key(&text, &shown.to_string())? {
            Some(secret) => Ok(Some(secret)),
            None => bail!("{shown} holds no API key"),
        },
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => bail!("cannot read {shown}: {}", reason(&error)),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        kind => kind.to_string(),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What a file holds, and whether others than its owner can read it.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let is_open = others_can_read(&file.metadata()?);
    let mut text = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut text)?;
    Ok((text, is_open))
}

#[cfg(unix)]
fn others_can_read(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn others_can_read(_: &Metadata) -> bool {
    false
}

/// Takes off what CI systems and `.env` files put around a key; nothing where nothing is left.
pub fn read_key(text: &[u8], whose: &str) -> Result<Option<Secret>> {
    // Some editors put one before all text.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let around = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'');
    let begin = text.iter().position(|byte| !around(byte));
    let end = text.iter().rposition(|byte| !around(byte));
    let (Some(begin), Some(end)) = (begin, end) else {
        return Ok(None);
    };
    let key = &text[begin..=end];
    let is_key = key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match std::str::from_utf8(key) {
        Ok(key) if is_key => Ok(Some(Secret::new(key.to_owned()))),
        _ => bail!("{whose} holds a character that no API key has"),
    }
}

/// Where the key for a server is kept, if this user has a configuration folder.
fn kept_at(server: &Url) -> Option<PathBuf> {
    let host = server.host_str()?.trim_matches(['[', ']']);
    let port = server.port_or_known_default()?;
    let name = format!("{host}_{port}");
    Some(files::config_folder()?.join("keys").join(name))
}

/// Keeps a key for a server, and says where.
pub fn keep(server: &Url, key: &Secret) -> Result<PathBuf> {
    let path = kept_at(server)
        .context("neither XDG_CONFIG_HOME nor HOME names a folder to keep the key in")?;
    if let Some(folder) = path.parent() {
        files::make_private_folder(folder)
            .map_err(|error| files::failure("cannot keep the API key in", folder, &error))?;
    }
    let line = format!("{}\n", key.reveal());
    files::write(&path, line.as_bytes(), Existing::Narrow)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    // X13
    #[test]
    fn what_stands_around_a_key_is_taken_off() {
        let key = |text: &str| {
            let read = read_key(text.as_bytes(), "x").map_err(|error| error.to_string());
            read.map(|found| found.map(|secret| secret.reveal().to_owned()))
        };
        for text in [
            "rgpu_a",
            "rgpu_a\n",
            "rgpu_a\r\n",
            " rgpu_a ",
            "\"rgpu_a\"",
            "'rgpu_a'\r\n",
            "\t\"rgpu_a\n\"",
            "\u{feff}rgpu_a\r\n",
        ] {
            assert_eq!(key(text), Ok(Some("rgpu_a".to_owned())), "{text:?}");
        }
        for text in ["", "\n", " \"\" \r\n"] {
            assert_eq!(key(text), Ok(None), "{text:?}");
        }
        for text in [
            "rgpu-a",
            "rgpu_a rgpu_b",
            "rgpu_a\nx: 1",
            "rgpu_é",
            "rgpu_\u{feff}a",
        ] {
            let odd = "x holds a character that no API key has".to_owned();
            assert_eq!(key(text), Err(odd), "{text:?}");
        }
    }
}
