//! How a query gets a connection, and what becomes of the connection after it.

use std::{future::Future, time::Duration};

use crate::error::Failure;

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

/// Runs a body of statements on a connection: `read` on one of many, where a
/// connection that the server had closed is replaced once; `write` on the one
/// that SQLite has for it. Each statement commits by itself.
macro_rules! with_conn {
    ($database:expr, read, |$connection:ident| $body:expr) => {
        $crate::connection::within($database.deadline(), async {
            match $database.pools() {
                $crate::database::Pools::Postgres(pool) => {
                    let mut tried = false;
                    loop {
                        let mut lease = pool.get().await?;
                        let $connection = lease.begin();
                        let done: Result<_, $crate::error::Failure> = async { $body }.await;
                        lease.finish(&done);
                        match done {
                            Err(failure) if !tried && failure.is_closed_connection() => {
                                tried = true;
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
                    let mut lease = pool.get().await?;
                    let $connection = lease.begin();
                    let done = with_tx!(@run "BEGIN", $connection, $body);
                    lease.finish(&done);
                    done
                }
                $crate::database::Pools::Sqlite { write, .. } => {
                    let mut lease = write.get().await?;
                    let $connection = lease.begin();
                    // At once a writer: a transaction that reads first and then
                    // writes could not wait for another process.
                    let done = with_tx!(@run "BEGIN IMMEDIATE", $connection, $body);
                    lease.finish(&done);
                    done
                }
            }
        })
        .await
    };
    // The `?` of this arm leaves the whole call, with the lease still in use.
    (@run $begin:literal, $connection:ident, $body:expr) => {{
        use diesel_async::SimpleAsyncConnection as _;
        $connection.batch_execute($begin).await?;
        let done: Result<_, $crate::error::Failure> = async { $body }.await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        $connection.batch_execute(end).await?;
        done
    }};
}

pub(crate) use {with_conn, with_tx};
