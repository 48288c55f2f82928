//! Secrets that the environment gives: in a variable, or in a file that one names (contract
//! X13, T8).

use std::env;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::secret::Secret;

/// Longer than any file with one secret in it.
const FILE_LIMIT: u64 = 4096;

/// Where a kind of secret is looked for.
pub struct Given {
    pub variable: &'static str,
    pub file_variable: &'static str,
    /// What it is called.
    pub what: &'static str,
}

/// A secret, and what is to be said about where it was found.
pub struct Found {
    pub secret: Secret,
    pub warning: Option<String>,
}

impl Given {
    /// The secret, if there is one; the error is one line.
    pub fn find(&self) -> Result<Option<Found>> {
        if let Some(text) = env::var_os(self.variable)
            && let Some(secret) = read_secret(text.as_encoded_bytes(), self.variable, self.what)?
        {
            return Ok(Some(Found {
                secret,
                warning: None,
            }));
        }
        let file = env::var_os(self.file_variable).filter(|path| !path.is_empty());
        file.map(|path| self.in_file(Path::new(&path))).transpose()
    }

    /// A file that others can read is no fault of who mounts secrets.
    fn in_file(&self, path: &Path) -> Result<Found> {
        let (shown, variable, what) = (path.display(), self.file_variable, self.what);
        let (text, is_open) = read(path).map_err(|error| {
            let reason = reason(&error);
            anyhow!("cannot read {shown}, which {variable} names: {reason}")
        })?;
        let whose = format!("{shown}, which {variable} names,");
        let Some(secret) = read_secret(&text, &whose, what)? else {
            bail!("{whose} holds no {what}");
        };
        let warning = || format!("others can read {shown}, which holds your {what}");
        Ok(Found {
            secret,
            warning: is_open.then(warning),
        })
    }
}

pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        kind => kind.to_string(),
    }
}

pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What a file holds, and whether others than its owner can read it.
pub fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
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

/// Takes off what CI systems and `.env` files put around a secret; nothing where nothing is
/// left.
pub fn read_secret(text: &[u8], whose: &str, what: &str) -> Result<Option<Secret>> {
    // Some editors put one before all text.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let around = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'');
    let begin = text.iter().position(|byte| !around(byte));
    let end = text.iter().rposition(|byte| !around(byte));
    let (Some(begin), Some(end)) = (begin, end) else {
        return Ok(None);
    };
    let secret = &text[begin..=end];
    let is_secret = secret
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match std::str::from_utf8(secret) {
        Ok(secret) if is_secret => Ok(Some(Secret::new(secret.to_owned()))),
        _ => bail!("{whose} holds a character that no {what} has"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // X13
    #[test]
    fn what_stands_around_a_key_is_taken_off() {
        let key = |text: &str| {
            let read =
                read_secret(text.as_bytes(), "x", "API key").map_err(|error| error.to_string());
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
