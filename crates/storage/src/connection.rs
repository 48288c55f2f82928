//! How a query gets a connection, and what becomes of the connection after it.

use std::{future::Future, time::Duration};

use bb8::{Pool, PooledConnection};
use diesel_async::SimpleAsyncConnection;

use crate::{error::Failure, postgres::PgManager, sqlite::LiteManager};

/// A pooled connection that knows whether its last use came to an end. One that
/// was given up in the middle (the client went away, the time was over) may be
/// in a transaction, or wait for an answer: it is closed instead of reused, and
/// the database rolls back what was begun.
pub struct Lease<C> {
    connection: C,
    in_use: bool,
}

impl<C> Lease<C> {
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            in_use: false,
        }
    }

    pub fn begin(&mut self) -> &mut C {
        self.in_use = true;
        &mut self.connection
    }

    /// Notes that the use came to its end.
    pub fn finish<T>(&mut self, done: &Result<T, Failure>) {
        self.in_use = matches!(done, Err(failure) if failure.is_closed_connection());
    }

    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// The connection without its use being noted, for a look from outside.
    pub fn peek(&mut self) -> &mut C {
        &mut self.connection
    }
}

/// Gives up after `deadline`, so that a database that has fallen silent holds
/// nobody up (contract C7).
pub async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::TimedOut),
    }
}

/// How often a connection that turns out to be closed may be replaced: after a
/// restart of the server every pooled one may be.
pub fn tries(pool: &Pool<PgManager>) -> u32 {
    pool.state().connections
}

/// A connection with a transaction begun. One that turns out to be closed is
/// replaced: nothing has happened on it yet.
pub async fn begin_on_postgres(
    pool: &Pool<PgManager>,
) -> Result<PooledConnection<'_, PgManager>, Failure> {
    let mut tries = tries(pool);
    loop {
        let mut lease = pool.get().await?;
        match lease.begin().batch_execute("BEGIN").await {
            Ok(()) => return Ok(lease),
            Err(error) => {
                let failure = Failure::from(error);
                if tries == 0 || !failure.is_closed_connection() {
                    return Err(failure);
                }
                tries -= 1;
            }
        }
    }
}

/// The connection that writes, with a transaction begun that is a writer at
/// once: one that reads first and then writes could not wait for another process.
pub async fn begin_on_sqlite(
    pool: &Pool<LiteManager>,
) -> Result<PooledConnection<'_, LiteManager>, Failure> {
    let mut lease = pool.get().await?;
    lease.begin().batch_execute("BEGIN IMMEDIATE").await?;
    Ok(lease)
}

/// Runs a body of one short read on the runtime's own connection to PostgreSQL, where
/// it has one; else, and once more where that one fails or hangs, like
/// `with_conn!(read)`.
macro_rules! with_quick_conn {
    ($database:expr, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            if let Some(quick) = $database.quick_reads().and_then(|quick| quick.here()) {
                let done: Result<_, $crate::error::Failure> =
                    $crate::connection::within($crate::quick_reads::PATIENCE, async {
                        let mut shared = quick.connection();
                        let $connection = &mut shared;
                        $body
                    })
                    .await;
                if done.is_ok() {
                    quick.answered();
                    return done;
                }
                // Whatever it is, others are not to meet it as well.
                quick.failed();
            }
            $crate::connection::with_conn!($database, read, |$connection| $body)
        })
        .await
    };
}

/// Runs a body of statements on a connection: `read` on one of many, where a
/// connection that the server had closed is replaced; `write` on the one
/// that SQLite has for it. Each statement commits by itself.
macro_rules! with_conn {
    ($database:expr, read, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            match $database.pools() {
                $crate::database::Pools::Postgres(pool) => {
                    let mut tries = $crate::connection::tries(pool);
                    loop {
                        let mut lease = pool.get().await?;
                        let $connection = lease.begin();
                        let done: Result<_, $crate::error::Failure> = async { $body }.await;
                        lease.finish(&done);
                        match done {
                            Err(failure) if tries > 0 && failure.is_closed_connection() => {
                                tries -= 1;
                            }
                            done => break done,
                        }
                    }
                }
                $crate::database::Pools::Sqlite { read, .. } => {
                    let mut lease = read.get().await?;
                    let $connection = lease.begin();
                    let done: Result<_, $crate::error::Failure> = async { $body }.await;
                    lease.finish(&done);
                    done
                }
            }
        })
        .await
    };
    ($database:expr, write, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            match $database.pools() {
                $crate::database::Pools::Postgres(pool) => {
                    let mut lease = pool.get().await?;
                    let $connection = lease.begin();
                    let done: Result<_, $crate::error::Failure> = async { $body }.await;
                    lease.finish(&done);
                    done
                }
                $crate::database::Pools::Sqlite { write, .. } => {
                    let mut lease = write.get().await?;
                    let $connection = lease.begin();
                    let done: Result<_, $crate::error::Failure> = async { $body }.await;
                    lease.finish(&done);
                    done
                }
            }
        })
        .await
    };
}

/// Runs a body of statements as one transaction; an error rolls it back. A body
/// passes every error on: PostgreSQL rolls back at the end what had one, and
/// calls that a success.
macro_rules! with_tx {
    ($database:expr, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            match $database.pools() {
                $crate::database::Pools::Postgres(pool) => {
                    let mut lease = $crate::connection::begin_on_postgres(pool).await?;
                    with_tx!(@run lease, $connection, $body)
                }
                $crate::database::Pools::Sqlite { write, .. } => {
                    let mut lease = $crate::connection::begin_on_sqlite(write).await?;
                    with_tx!(@run lease, $connection, $body)
                }
            }
        })
        .await
    };
    // The `?` of this arm leaves the whole call, with the lease still in use.
    (@run $lease:ident, $connection:ident, $body:expr) => {{
        use diesel_async::SimpleAsyncConnection as _;
        let $connection = $lease.begin();
        let done: Result<_, $crate::error::Failure> = async { $body }.await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        $connection.batch_execute(end).await?;
        $lease.finish(&done);
        done
    }};
}

pub(crate) use {with_conn, with_quick_conn, with_tx};
