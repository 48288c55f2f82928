//! Whether the database is still the one that an instance began with, or was restored
//! under it (contract R7).
//!
//! Nobody tells an instance of a restore, and no one sign shows each kind of it. So
//! two are looked at. Which database and which tables these are: an other server, a
//! database that was dropped and made again, tables that were, a file in place of the
//! file. And the pulse, a time in the database that instances raise every few seconds
//! and that never goes back: what brings back old rows into the same tables brings back
//! an old pulse.
//!
//! A failover to a replica that lost its last moments sends the pulse back too. Nobody
//! can tell that from the restore of a backup that was made a moment ago, and need not:
//! up to [`FAILOVER`] what was remembered is forgotten, and the instance goes on.

mod file;

use std::{cmp::Ordering, time::Duration as Span};

use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Nullable},
};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    sync_connection_wrapper::SyncConnectionWrapper,
};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::{
    Database,
    connection::within,
    database::Source,
    error::{ConnectError, Failure},
    sqlite::{Detached, LiteConnection},
    types::{DbTime, SqlTime},
};

use self::file::WatchedFile;

/// How old the pulse is before somebody raises it. The statements below say the same.
#[cfg(test)]
const PULSE: Duration = Duration::seconds(5);
/// How far a failover may send the pulse back. A replica that was so far behind has
/// lost as much as a backup would have. Of SQLite there is no replica.
const FAILOVER: Duration = Duration::seconds(15);
/// How long one look may take.
const LOOK_WITHIN: Span = Span::from_secs(2);

/// A pulse is raised by the database's own clock, by whoever comes first: however many
/// instances look, it does not go faster. `tables` is absent while they are made anew.
const LOOK_ON_POSTGRES: &str = "
    SELECT (SELECT system_identifier FROM pg_control_system()) AS server,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        to_regclass('installation')::oid::bigint AS tables,
        pulse.pulsed_at AS pulsed_at, pulse.raised_from AS raised_from,
        coalesce(pulse.pulsed_at <= clock_timestamp() - interval '5 seconds', true)
            AND NOT pg_is_in_recovery()
            AND current_setting('transaction_read_only') = 'off' AS is_due
    FROM (SELECT 1) AS always LEFT JOIN pulse ON pulse.id = 1";
const RAISE_ON_POSTGRES: &str = "
    UPDATE pulse SET raised_from = pulsed_at, pulsed_at = clock_timestamp()
    WHERE pulsed_at <= clock_timestamp() - interval '5 seconds'";
const MAKE_ON_POSTGRES: &str = "
    INSERT INTO pulse (id, pulsed_at, raised_from) VALUES (1, now(), now())
    ON CONFLICT DO NOTHING";

/// Which file it is, the query does not know; [`file`] does, and finds the pulse there
/// after a checkpoint.
const LOOK_ON_SQLITE: &str = "
    SELECT 0 AS server, 0 AS database, 0 AS tables,
        pulse.pulsed_at AS pulsed_at, pulse.raised_from AS raised_from,
        coalesce(pulse.pulsed_at <= (unixepoch('subsec') - 5) * 1000000, 1) AS is_due
    FROM (SELECT 1) AS always LEFT JOIN pulse ON pulse.id = 1";
const RAISE_ON_SQLITE: &str = "
    UPDATE pulse SET raised_from = pulsed_at,
        pulsed_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    WHERE pulsed_at <= (unixepoch('subsec') - 5) * 1000000";
/// Brings the pulse to the file, as far as no reader is in the way.
const CHECKPOINT_ON_SQLITE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const MAKE_ON_SQLITE: &str = "
    INSERT OR IGNORE INTO pulse (id, pulsed_at, raised_from)
    SELECT 1, now, now FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now)";

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The database, as far as it had come or further.
    Same,
    /// The database, a little before that: what was remembered of it may not have
    /// happened.
    SteppedBack {
        /// By so much.
        by: Duration,
    },
    /// Another database than before, or what it was long ago.
    Restored(RestoreSign),
}

/// What shows that a database was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreSign {
    /// The server, or the database on it, is another.
    #[error("the database is another one than at the start")]
    OtherDatabase,
    /// The tables were dropped and made again.
    #[error("the database's tables were made anew")]
    OtherTables,
    /// The file is gone, or another file has its name.
    #[error("the database's file is not the one that is open")]
    OtherFile,
    /// Something else was written over the file.
    #[error("the database's file was overwritten")]
    Overwritten,
    /// The database is what it was before.
    #[error("the database went back by {} seconds", by.whole_seconds())]
    WentBack {
        /// By so much.
        by: Duration,
    },
    /// The pulse's row was removed, which nobody of us does.
    #[error("the database's rows were removed")]
    Emptied,
}

/// Somebody who looks again and again.
pub struct RestoreWatch {
    source: Source,
    /// A connection of its own: where all others are in use, this is found out as well.
    link: Option<Link>,
    /// SQLite's file.
    file: Option<WatchedFile>,
    /// As far as the database had come.
    newest: Option<Sighting>,
}

enum Link {
    Postgres(Box<AsyncPgConnection>),
    Sqlite(Box<LiteConnection>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sighting {
    database: (i64, i64),
    tables: i64,
    pulse: Option<Pulse>,
}

/// A time, and the one that it was raised from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pulse {
    at: OffsetDateTime,
    from: OffsetDateTime,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    server: i64,
    #[diesel(sql_type = BigInt)]
    database: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    tables: Option<i64>,
    #[diesel(sql_type = Nullable<SqlTime>)]
    pulsed_at: Option<DbTime>,
    #[diesel(sql_type = Nullable<SqlTime>)]
    raised_from: Option<DbTime>,
    #[diesel(sql_type = Bool)]
    is_due: bool,
}

/// Runs a body on either connection.
macro_rules! on_link {
    ($link:expr, |$connection:ident| $body:expr) => {
        match $link {
            Link::Postgres(connection) => {
                let $connection = &mut **connection;
                $body
            }
            Link::Sqlite(connection) => {
                let $connection = &mut **connection;
                $body
            }
        }
    };
}

impl Database {
    /// Begins to watch; what the database is now is what it is compared with.
    pub fn watch_for_restore(&self) -> RestoreWatch {
        let file = match self.source() {
            Source::Postgres(_) => None,
            Source::Sqlite(manager) => Some(WatchedFile::new(manager.path())),
        };
        RestoreWatch {
            source: self.source().clone(),
            link: None,
            file,
            newest: None,
        }
    }
}

impl RestoreWatch {
    /// Looks once, and raises the pulse if that is due. To be called about once a
    /// second.
    ///
    /// # Errors
    /// The database does not answer, or its tables are just being made: it may be the
    /// same afterwards.
    pub async fn look(&mut self) -> Result<Seen, StoreError> {
        let looked = within(LOOK_WITHIN, self.see()).await;
        // Taken by who gave up in the middle; after an error it is of no use.
        if looked.is_err() {
            self.link = None;
        }
        Ok(looked?)
    }

    async fn see(&mut self) -> Result<Seen, Failure> {
        if let Some(sign) = self.look_at_file().await? {
            return Ok(Seen::Restored(sign));
        }
        let mut link = match self.link.take() {
            Some(link) => link,
            None => connect(&self.source).await?,
        };
        let (look, raise, make) = match &link {
            Link::Postgres(_) => (LOOK_ON_POSTGRES, RAISE_ON_POSTGRES, MAKE_ON_POSTGRES),
            Link::Sqlite(_) => (LOOK_ON_SQLITE, RAISE_ON_SQLITE, MAKE_ON_SQLITE),
        };
        let row: Row = on_link!(&mut link, |c| sql_query(look).get_result(c).await)?;
        let now = Sighting {
            database: (row.server, row.database),
            tables: row.tables.ok_or(Failure::Conflict("the tables are gone"))?,
            pulse: row.pulsed_at.zip(row.raised_from).map(|(at, from)| Pulse {
                at: at.into(),
                from: from.into(),
            }),
        };
        let failover = match &link {
            Link::Postgres(_) => FAILOVER,
            Link::Sqlite(_) => Duration::ZERO,
        };
        let seen = match &self.newest {
            Some(newest) => judge(newest, &now, failover),
            None => Seen::Same,
        };
        if matches!(seen, Seen::Restored(_)) {
            return Ok(seen);
        }
        // Made only at the beginning: later a row that is missing is being restored, and
        // one of ours would be in the way.
        let change = row
            .is_due
            .then_some(if now.pulse.is_none() { make } else { raise });
        // Until it is there: a reader may have been in the way, and a file that lags
        // behind shows nobody that it was overwritten.
        let lags = |file: &WatchedFile| row.is_due || file.lags_behind(now.pulse.map(|p| p.at));
        let checkpoint = self.file.as_ref().is_some_and(lags);
        let mut raised = Ok(());
        for statement in change
            .into_iter()
            .chain(checkpoint.then_some(CHECKPOINT_ON_SQLITE))
        {
            raised = on_link!(&mut link, |c| c.batch_execute(statement).await);
            if raised.is_err() {
                break;
            }
        }
        // Only now: a look that is given up before is made again with what was known. And
        // after a step back too, so that it is told once.
        self.newest = Some(now);
        match raised {
            Ok(()) => self.link = Some(link),
            Err(error) if seen == Seen::Same => return Err(error.into()),
            // The pulse can wait, this cannot.
            Err(_) => {}
        }
        Ok(seen)
    }

    async fn look_at_file(&mut self) -> Result<Option<RestoreSign>, Failure> {
        let (Source::Sqlite(manager), Some(file)) = (&self.source, &self.file) else {
            return Ok(None);
        };
        let (path, mut file) = (manager.path().to_owned(), file.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let sign = file.look(&path);
            (sign, file)
        });
        let (sign, file) = looked.await.map_err(|_| ConnectError::Ended)?;
        self.file = Some(file);
        Ok(sign)
    }
}

async fn connect(source: &Source) -> Result<Link, Failure> {
    match source {
        Source::Postgres(manager) => {
            let connection = manager.open(LOOK_WITHIN).await?;
            Ok(Link::Postgres(Box::new(connection)))
        }
        Source::Sqlite(manager) => {
            let manager = manager.clone();
            let opened = tokio::task::spawn_blocking(move || manager.open()).await;
            let connection = opened.map_err(|_| ConnectError::Ended)??;
            let connection = SyncConnectionWrapper::with_runtime(connection, Detached);
            Ok(Link::Sqlite(Box::new(connection)))
        }
    }
}

fn judge(newest: &Sighting, now: &Sighting, failover: Duration) -> Seen {
    if newest.database != now.database {
        return Seen::Restored(RestoreSign::OtherDatabase);
    }
    if newest.tables != now.tables {
        return Seen::Restored(RestoreSign::OtherTables);
    }
    let (Some(before), Some(after)) = (newest.pulse, now.pulse) else {
        return match newest.pulse {
            Some(_) => Seen::Restored(RestoreSign::Emptied),
            None => Seen::Same,
        };
    };
    // Another instance may have raised it since it went back: then it was raised from
    // a time before the newest, and in an undisturbed life it never is.
    let least = match after.at.cmp(&before.at) {
        Ordering::Less => after.at,
        Ordering::Equal => before.at,
        Ordering::Greater => after.from,
    };
    let by = before.at - least;
    // Nothing but the last raise was lost, however long nobody had raised it before.
    let lost_one = failover > Duration::ZERO && least == before.from;
    if by <= Duration::ZERO {
        Seen::Same
    } else if by <= failover || lost_one {
        Seen::SteppedBack { by }
    } else {
        Seen::Restored(RestoreSign::WentBack { by })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    /// Seconds after noon.
    fn at(at: i64, from: i64) -> Sighting {
        let time = |seconds| NOON + Duration::seconds(seconds);
        Sighting {
            database: (1, 2),
            tables: 3,
            pulse: Some(Pulse {
                at: time(at),
                from: time(from),
            }),
        }
    }

    fn by(seconds: i64) -> Duration {
        Duration::seconds(seconds)
    }

    fn back(seconds: i64) -> Seen {
        Seen::SteppedBack { by: by(seconds) }
    }

    fn restored(seconds: i64) -> Seen {
        Seen::Restored(RestoreSign::WentBack { by: by(seconds) })
    }

    #[test]
    fn a_pulse_goes_on_or_went_back() {
        // R7
        let check = |now: Sighting, expected: Seen| {
            assert_eq!(judge(&at(0, -5), &now, FAILOVER), expected, "{now:?}");
        };
        check(at(0, -5), Seen::Same);
        check(at(5, 0), Seen::Same);
        // One that was not seen stood between.
        check(at(3600, 3000), Seen::Same);
        check(at(-1, -6), back(1));
        check(at(-15, -20), back(15));
        check(at(-16, -21), restored(16));
        // After a long time in which nobody raised it.
        let paused = judge(&at(600, 0), &at(0, -5), FAILOVER);
        assert_eq!(paused, back(600));
        assert_eq!(judge(&at(600, 0), &at(-1, -6), FAILOVER), restored(601));
        assert_eq!(judge(&at(600, 0), &at(540, 0), FAILOVER), restored(60));
        // Another instance was quicker.
        check(at(2, -8), back(8));
        check(at(2, -60), restored(60));
        // Of a file there are no replicas.
        let file = judge(&at(0, -5), &at(-1, -6), Duration::ZERO);
        assert_eq!(file, restored(1));
    }

    #[test]
    fn another_database_and_other_tables_are_a_restore() {
        // R7
        let check = |now: Sighting, sign: RestoreSign| {
            assert_eq!(judge(&at(0, -5), &now, FAILOVER), Seen::Restored(sign));
        };
        let ours = at(5, 0);
        for database in [(9, 2), (1, 9)] {
            check(Sighting { database, ..ours }, RestoreSign::OtherDatabase);
        }
        check(Sighting { tables: 9, ..ours }, RestoreSign::OtherTables);
        let emptied = Sighting {
            pulse: None,
            ..ours
        };
        check(emptied, RestoreSign::Emptied);
        assert_eq!(judge(&emptied, &ours, FAILOVER), Seen::Same);
    }

    #[test]
    fn a_failover_that_lost_ten_seconds_is_no_restore() {
        // R7: the last pulse before the moment that was lost is up to PULSE older.
        assert!(Duration::seconds(10) + PULSE <= FAILOVER);
        for statement in [LOOK_ON_POSTGRES, RAISE_ON_POSTGRES] {
            assert!(statement.contains(&format!("{} seconds", PULSE.whole_seconds())));
        }
        for statement in [LOOK_ON_SQLITE, RAISE_ON_SQLITE] {
            assert!(statement.contains(&format!("- {})", PULSE.whole_seconds())));
        }
    }
}
