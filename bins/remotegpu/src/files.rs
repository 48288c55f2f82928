//! Writing files: as a whole or not at all, for their owner alone, through links. What is no file
//! is opened and written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use tempfile::NamedTempFile;

use crate::stdout;

/// As many links as Linux follows.
const LINK_LIMIT: usize = 40;

/// Where this user's programs keep what they are told: `$XDG_CONFIG_HOME`, or `~/.config`. Windows
/// names a folder of its own.
pub fn config_folder() -> Option<PathBuf> {
    let absolute = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .or_else(|| absolute("APPDATA"))
        .map(|config| config.join("remotegpu"))
}

/// What to do with a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    /// Another takes its place, for the same readers.
    Replace,
    /// Another takes its place, for its owner alone.
    Narrow,
}

/// What a path leads to.
enum Target {
    /// A plain file, or none yet; no part of the path is a link.
    File(PathBuf),
    /// A device, a pipe with a name, or a file that this process has open.
    Opened(PathBuf),
    Stdout,
}

/// Writes a file. The error is a sentence that names it.
pub fn write(path: &Path, contents: &[u8], existing: Existing) -> Result<()> {
    let failed = |error| failure("cannot write", path, &error);
    match target(path).map_err(failed)? {
        Target::Stdout => stdout::write(&String::from_utf8_lossy(contents)),
        Target::Opened(file) => {
            let open = OpenOptions::new().append(true).open(file);
            let written = open.and_then(|mut file| file.write_all(contents));
            written.map_err(failed)
        }
        Target::File(file) => write_file(&file, contents, existing).map_err(failed),
    }
}

/// Whether a path is another name of stdout.
pub fn is_stdout(path: &Path) -> bool {
    matches!(target(path), Ok(Target::Stdout))
}

/// The file that a path means, with every link followed. It need not be there yet.
pub fn follow(path: &Path) -> io::Result<PathBuf> {
    match target(path)? {
        Target::File(file) | Target::Opened(file) => Ok(file),
        Target::Stdout => Err(ErrorKind::InvalidInput.into()),
    }
}

fn target(path: &Path) -> io::Result<Target> {
    let mut path = path.to_owned();
    for _ in 0..LINK_LIMIT {
        let Some(name) = path.file_name() else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let folder = folder_of(&path).canonicalize()?;
        if is_of_open_files(&folder) {
            let own = Path::new("/proc/self/fd").canonicalize();
            let is_stdout = name == "1" && own.is_ok_and(|own| own == folder);
            return Ok(if is_stdout {
                Target::Stdout
            } else {
                Target::Opened(path)
            });
        }
        path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = folder.join(fs::read_link(&path)?),
            Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => return Ok(Target::Opened(path)),
            Ok(_) => return Ok(Target::File(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Target::File(path)),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

/// Whether what stands in a folder are the open files of a process, which are no links though
/// they look like some.
fn is_of_open_files(folder: &Path) -> bool {
    (folder.starts_with("/proc") && folder.ends_with("fd")) || folder == Path::new("/dev/fd")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn write_file(path: &Path, contents: &[u8], existing: Existing) -> io::Result<()> {
    let before = fs::metadata(path).ok();
    if before.is_some() && existing == Existing::Refuse {
        return Err(ErrorKind::AlreadyExists.into());
    }
    // A temporary file is made with mode 0600 and keeps it when it gets its name.
    let mut file = NamedTempFile::new_in(folder_of(path))?;
    file.write_all(contents)?;
    match before {
        Some(before) => {
            let is_same = give_to_owner_of(&before, file.as_file())?;
            if is_same && existing == Existing::Replace {
                file.as_file().set_permissions(before.permissions())?;
            }
        }
        None => give_to_owner_of_folder(file.as_file(), path)?,
    }
    file.as_file().sync_all()?;
    match existing {
        Existing::Refuse => file.persist_noclobber(path)?,
        Existing::Replace | Existing::Narrow => file.persist(path)?,
    };
    Ok(())
}

/// Tries whether so much can be written beside a file.
pub fn try_beside(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()
}

/// Opens a file to hold its lock, for its owner alone.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // No link is followed: what root makes is given to whom the folder belongs.
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(no_link.cast_signed());
    }
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give_to_owner_of_folder(&file, path)?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Makes a folder, and those above it, that its owner alone can look into.
#[cfg(unix)]
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    match fs::metadata(folder) {
        // One that was there before may be open to others.
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let above = folder_of(folder);
            if !above.is_dir() {
                make_private_folder(above)?;
            }
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Ok(()) => give_to_owner_of_folder(&open_folder(folder)?, folder),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Opens a folder that is no link.
#[cfg(unix)]
fn open_folder(folder: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let mut options = OpenOptions::new();
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    options.read(true).open(folder)
}

#[cfg(not(unix))]
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Gives what root has just made to whom the folder belongs: `sudo` leaves nothing in a user's
/// home that the user cannot read.
fn give_to_owner_of_folder(made: &File, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&made.metadata()?) == 0 {
        give_to_owner_of(&fs::metadata(folder_of(path))?, made)?;
    }
    Ok(())
}

/// Gives what was just made to the same owner and group; tells whether it is theirs now.
#[cfg(unix)]
fn give_to_owner_of(like: &fs::Metadata, made: &File) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let is = made.metadata()?;
    let is_same = (is.uid(), is.gid()) == (like.uid(), like.gid());
    Ok(is_same || fchown(made, Some(like.uid()), Some(like.gid())).is_ok())
}

#[cfg(not(unix))]
fn give_to_owner_of(_: &fs::Metadata, _: &File) -> io::Result<bool> {
    Ok(true)
}

/// A sentence about a file, with a reason that says what to do.
pub fn failure(what: &str, path: &Path, error: &io::Error) -> Error {
    anyhow!("{what} {}: {}", path.display(), reason(error, path))
}

/// Why a file was not written or read, in words.
fn reason(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "no space is left on the disk; make room and try again".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::NotFound => "its folder is not there".to_owned(),
        ErrorKind::ResourceBusy => "it is mounted there by itself".to_owned(),
        ErrorKind::AlreadyExists => "it is already there; replace it with --force".to_owned(),
        ErrorKind::PermissionDenied => not_allowed(path),
        // Words of our own.
        _ if error.raw_os_error().is_none() => error.to_string(),
        _ => error.kind().to_string(),
    }
}

/// Names whom the lowest part of a path belongs to, if that is another user. What stands in a
/// folder of one's own was left there by `sudo`.
#[cfg(unix)]
fn not_allowed(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid().as_raw();
    let owner = |path: &Path| fs::symlink_metadata(path).map(|found| found.uid());
    let found = path
        .ancestors()
        .find_map(|part| Some((part, owner(part).ok()?)));
    match found {
        Some((part, theirs)) if theirs != own => {
            let shown = part.display();
            if part
                .parent()
                .is_some_and(|above| owner(above).ok() == Some(own))
            {
                format!(
                    "{shown} belongs to user {theirs}, as after `sudo`; take it back with `sudo \
                     chown -R {own} {shown}`"
                )
            } else {
                format!("{shown} belongs to user {theirs}")
            }
        }
        _ => "this is not allowed".to_owned(),
    }
}

#[cfg(not(unix))]
fn not_allowed(_: &Path) -> String {
    "this is not allowed".to_owned()
}
