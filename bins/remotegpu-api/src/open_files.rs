//! How many files, and so how many connections, the system lets this process
//! have.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::MaxConnections;

/// What is open beside the connections of clients: databases, clusters, the
/// internal listener, the threads' own.
const OTHERS: u64 = 256;

/// Raises the limit of open files as far as the system allows, and answers how
/// many connections there may be. Where those that are wanted do not fit, a number
/// that was given is refused, and the default is lowered.
pub fn make_room(wanted: MaxConnections) -> Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    // No limit at all is `None`.
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return Ok(wanted.number);
    };
    let fitting = fitting(files);
    if wanted.number <= fitting {
        return Ok(wanted.number);
    }
    if wanted.given {
        bail!(
            "max_connections: {} connections do not fit, because the system lets this \
             process open {files} files (ulimit -Hn, LimitNOFILE=); {fitting} would",
            wanted.number
        );
    }
    tracing::warn!(
        max_connections = fitting,
        files,
        "max_connections is lowered: the system lets this process open too few files"
    );
    Ok(fitting)
}

fn fitting(files: u64) -> usize {
    // Where there is next to nothing, half of it.
    let fitting = files.saturating_sub(OTHERS).max(files / 2).max(1);
    usize::try_from(fitting).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_what_is_no_connection() {
        assert_eq!(fitting(20_000), 19_744);
        assert_eq!(fitting(1024), 768);
        assert_eq!(fitting(256), 128);
        assert_eq!(fitting(0), 1);
    }
}
