//! Where `kubectl-remotegpu` has its API key from (contract X13).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use url::Url;

use crate::connection::origin;
use crate::files::{self, Existing};
use crate::given::{Found, Given, is_missing, read, read_secret, reason};
use crate::secret::Secret;

const GIVEN: Given = Given {
    variable: "REMOTEGPU_API_KEY",
    file_variable: "REMOTEGPU_API_KEY_FILE",
    what: "API key",
};

/// The key for a server; the error is one line.
pub fn find(server: &Url) -> Result<Found> {
    if let Some(found) = GIVEN.find()? {
        return Ok(found);
    }
    if let Some(path) = kept_at(server)
        && let Some(secret) = in_own_file(&path)?
    {
        return Ok(Found {
            secret,
            warning: None,
        });
    }
    bail!(
        "{} is not set: export your API key first, or keep it with `remotegpu --server {} \
         keys use`",
        GIVEN.variable,
        origin(server)
    )
}

/// Takes off what stands around a key; nothing where nothing is left.
pub fn read_key(text: &[u8], whose: &str) -> Result<Option<Secret>> {
    read_secret(text, whose, GIVEN.what)
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
