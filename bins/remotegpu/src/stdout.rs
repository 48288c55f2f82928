//! Standard output, and whether what is written there reaches anybody.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Result, bail};

use crate::files;

/// Writes a text. A reader that has seen enough, such as `head`, is no failure.
pub fn write(text: &str) -> Result<()> {
    match try_write(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(files::failure(
            "cannot write to",
            Path::new("stdout"),
            &error,
        )),
        _ => Ok(()),
    }
}

fn try_write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Fails where a secret that is going to be made could not be read by anybody (contract K2). It is
/// asked before anything is made or ended.
pub fn expect_reader() -> Result<()> {
    match imp::obstacle() {
        Some(obstacle) => bail!("nothing was done: {obstacle}"),
        None => Ok(()),
    }
}

/// Writes a secret that stands nowhere else, and tells whether it was read as far as can be known:
/// a pipe is watched for some seconds, until it is empty or its reader has ended.
pub fn write_secret(text: &str) -> bool {
    try_write(text).is_ok() && imp::was_read()
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{FileType, Stat, fstat};

    /// A reader that takes longer is believed to read.
    const READ_WITHIN: Duration = Duration::from_secs(5);
    const LOOK_EVERY: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };

    /// What keeps an output from being read, in words.
    pub fn obstacle() -> Option<String> {
        const CLOSED: &str = "stdout is closed or /dev/null, and the secret would be lost";
        let stdout = io::stdout();
        let Ok(stat) = fstat(&stdout) else {
            return Some(CLOSED.to_owned());
        };
        if has_no_reader() {
            return Some("nobody reads stdout, and the secret would be lost".to_owned());
        }
        let written = match FileType::from_raw_mode(stat.st_mode) {
            // A program that is started without an output gets this one.
            FileType::CharacterDevice if is_null(&stat) => return Some(CLOSED.to_owned()),
            FileType::CharacterDevice => rustix::io::write(&stdout, b"").map(drop),
            FileType::RegularFile => reserve(&stdout, stat.st_size),
            _ => Ok(()),
        };
        let error = io::Error::from(written.err()?);
        let path = std::path::Path::new("stdout");
        Some(crate::files::failure("cannot write to", path, &error).to_string())
    }

    fn is_null(device: &Stat) -> bool {
        rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == device.st_rdev)
    }

    fn has_no_reader() -> bool {
        let stdout = io::stdout();
        let mut looked = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec::default();
        // A terminal that was closed hangs up, a pipe without a reader is an error.
        poll(&mut looked, Some(&now)).is_ok()
            && looked[0]
                .revents()
                .intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    }

    /// Room for the secret behind the end of a file, before it is made.
    #[cfg(target_os = "linux")]
    fn reserve(stdout: &io::Stdout, end: i64) -> rustix::io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        const ROOM: u64 = 4096;
        let end = u64::try_from(end).unwrap_or(0);
        match fallocate(stdout, FallocateFlags::KEEP_SIZE, end, ROOM) {
            // A file system that cannot reserve has to be believed.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            reserved => reserved,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(_: &io::Stdout, _: i64) -> rustix::io::Result<()> {
        Ok(())
    }

    /// Whether what was written to a pipe is read before its reader ends.
    pub fn was_read() -> bool {
        let stdout = io::stdout();
        let is_pipe = |mode| FileType::from_raw_mode(mode) == FileType::Fifo;
        if !fstat(&stdout).is_ok_and(|stat| is_pipe(stat.st_mode)) {
            return true;
        }
        let end = Instant::now() + READ_WITHIN;
        loop {
            // In this order, for a reader may read and end in between.
            let has_ended = has_no_reader();
            match rustix::io::ioctl_fionread(&stdout) {
                Ok(0) | Err(_) => return true,
                Ok(_) if has_ended => return false,
                Ok(_) if Instant::now() > end => return true,
                Ok(_) => {
                    let mut looked = [PollFd::new(&stdout, PollFlags::empty())];
                    let _ = poll(&mut looked, Some(&LOOK_EVERY));
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod imp {
    pub fn obstacle() -> Option<String> {
        None
    }

    pub fn was_read() -> bool {
        true
    }
}
