//! How a query gets a connection, and what becomes of the connection after it.

use std::{future::Future, time::Duration};

use bb8::{Pool, PooledConnection};
use diesel_async::SimpleAsyncConnection;

use crate::{
    database::Pools, either::EitherConnection, error::Failure, postgres::PgManager,
    sqlite::LiteManager,
};

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
fn tries(pool: &Pool<PgManager>) -> u32 {
    pool.state().connections
}

/// A pooled connection to either database.
pub enum EitherLease<'a> {
    Postgres(Box<PooledConnection<'a, PgManager>>),
    Sqlite(PooledConnection<'a, LiteManager>),
}

impl EitherLease<'_> {
    pub fn begin(&mut self) -> EitherConnection<'_> {
        match self {
            Self::Postgres(lease) => EitherConnection::Postgres(lease.begin()),
            Self::Sqlite(lease) => EitherConnection::Sqlite(lease.begin()),
        }
    }

    /// Notes that the use came to its end.
    pub fn finish<T>(&mut self, done: &Result<T, Failure>) {
        match self {
            Self::Postgres(lease) => lease.finish(done),
            Self::Sqlite(lease) => lease.finish(done),
        }
    }

    /// Ends the transaction that was begun. Where that fails, the lease is still in use.
    pub async fn end_transaction<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.begin().batch_execute(end).await?;
        self.finish(&done);
        done
    }
}

impl Pools {
    /// A connection that reads.
    pub async fn read(&self) -> Result<EitherLease<'_>, Failure> {
        Ok(match self {
            Self::Postgres(pool) => EitherLease::Postgres(Box::new(pool.get().await?)),
            Self::Sqlite { read, .. } => EitherLease::Sqlite(read.get().await?),
        })
    }

    /// A connection that may write.
    pub async fn write(&self) -> Result<EitherLease<'_>, Failure> {
        Ok(match self {
            Self::Postgres(pool) => EitherLease::Postgres(Box::new(pool.get().await?)),
            Self::Sqlite { write, .. } => EitherLease::Sqlite(write.get().await?),
        })
    }

    /// A connection with a transaction begun.
    pub async fn transaction(&self) -> Result<EitherLease<'_>, Failure> {
        Ok(match self {
            Self::Postgres(pool) => EitherLease::Postgres(Box::new(begin_on_postgres(pool).await?)),
            Self::Sqlite { write, .. } => EitherLease::Sqlite(begin_on_sqlite(write).await?),
        })
    }

    /// How often a read may be tried again because its connection was closed.
    pub fn tries(&self) -> u32 {
        match self {
            Self::Postgres(pool) => tries(pool),
            // Nobody closes a connection to a file.
            Self::Sqlite { .. } => 0,
        }
    }
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
                        let shared = quick.connection();
                        let $connection = &mut $crate::either::EitherConnection::Postgres(shared);
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
            let pools = $database.pools();
            let mut tries = pools.tries();
            loop {
                let mut lease = pools.read().await?;
                let $connection = &mut lease.begin();
                let done: Result<_, $crate::error::Failure> = async { $body }.await;
                lease.finish(&done);
                match done {
                    Err(failure) if tries > 0 && failure.is_closed_connection() => tries -= 1,
                    done => break done,
                }
            }
        })
        .await
    };
    ($database:expr, write, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            let mut lease = $database.pools().write().await?;
            let $connection = &mut lease.begin();
            let done: Result<_, $crate::error::Failure> = async { $body }.await;
            lease.finish(&done);
            done
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
            let mut lease = $database.pools().transaction().await?;
            let $connection = &mut lease.begin();
            let done: Result<_, $crate::error::Failure> = async { $body }.await;
            lease.end_transaction(done).await
        })
        .await
    };
}

pub(crate) use {with_conn, with_quick_conn, with_tx};
