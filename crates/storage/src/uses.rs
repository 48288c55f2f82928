//! When keys and identities were last used, written in batches (contract K14, X12).
//! One of the few things that the two databases do in their own ways: a statement for
//! each row would cost more than the requests that it counts.

use diesel::{SqliteConnection, sql_types::Array};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::{
    Database,
    connection::{begin_on_sqlite, within},
    database::Pools,
    error::Failure,
    types::{DbTime, DbUuid, SqlTime, SqlUuid},
};

/// How many times are written in one transaction.
const AT_ONCE: usize = 1000;

/// A column of last times.
#[derive(Debug, Clone, Copy)]
pub struct LastTimes {
    table: &'static str,
    column: &'static str,
    /// What stands there, or counts where nothing does.
    known: &'static str,
    /// A row's time is written at most so often, by all instances together.
    interval: Duration,
}

/// When keys last opened something (contract K14).
pub const USES: LastTimes = LastTimes {
    table: "api_keys",
    column: "last_used_at",
    known: "api_keys.last_used_at",
    interval: Duration::MINUTE,
};

/// When access tokens last opened a cluster (contract T5).
pub const TOKEN_USES: LastTimes = LastTimes {
    table: "access_tokens",
    column: "last_used_at",
    known: "access_tokens.last_used_at",
    interval: Duration::MINUTE,
};

/// When tokens were last minted for identities (contract X12).
pub const MINTS: LastTimes = LastTimes {
    table: "credential_identities",
    column: "last_minted_at",
    known: "coalesce(credential_identities.last_minted_at, credential_identities.created_at)",
    interval: Duration::HOUR,
};

/// Row, time of its use, and before when the stored one must be.
type Used = (DbUuid, DbTime, DbTime);

impl Database {
    /// Writes these times, each unless the interval has not passed since the one that
    /// is stored.
    pub(crate) async fn record_times<Id: Copy + Into<DbUuid>>(
        &self,
        what: LastTimes,
        times: &[(Id, OffsetDateTime)],
    ) -> Result<(), StoreError> {
        let used = |(id, time): &(Id, OffsetDateTime)| -> Used {
            ((*id).into(), (*time).into(), (*time - what.interval).into())
        };
        for times in times.chunks(AT_ONCE) {
            let times: Vec<Used> = times.iter().map(used).collect();
            within(self.deadline(), async {
                match self.pools() {
                    Pools::Postgres(pool) => {
                        let mut lease = pool.get().await?;
                        let done = on_postgres(lease.begin(), what, &times).await;
                        lease.finish(&done);
                        done
                    }
                    Pools::Sqlite { write, .. } => {
                        let mut lease = begin_on_sqlite(write).await?;
                        let connection = lease.begin();
                        connection
                            .spawn_blocking(move |connection| on_sqlite(connection, what, &times))
                            .await?;
                        connection.batch_execute("COMMIT").await?;
                        lease.finish(&Ok(()));
                        Ok(())
                    }
                }
            })
            .await?;
        }
        Ok(())
    }
}

/// A row that somebody else holds is passed over: it is not worth a wait, let
/// alone a deadlock. One that somebody's new row only points to is not held by it.
async fn on_postgres(
    connection: &mut AsyncPgConnection,
    what: LastTimes,
    times: &[Used],
) -> Result<(), Failure> {
    let LastTimes {
        table,
        column,
        known,
        ..
    } = what;
    let statement = format!(
        "WITH due AS MATERIALIZED (
            SELECT {table}.id, used.at
            FROM unnest($1, $2, $3) AS used (id, at, before) JOIN {table} ON {table}.id = used.id
            WHERE {known} IS NULL OR {known} <= used.before
            FOR NO KEY UPDATE OF {table} SKIP LOCKED
        )
        UPDATE {table} SET {column} = due.at FROM due WHERE {table}.id = due.id"
    );
    let ids: Vec<DbUuid> = times.iter().map(|(id, ..)| *id).collect();
    let at: Vec<DbTime> = times.iter().map(|(_, time, _)| *time).collect();
    let before: Vec<DbTime> = times.iter().map(|(.., before)| *before).collect();
    let statement = diesel::sql_query(statement)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<SqlTime>, _>(at)
        .bind::<Array<SqlTime>, _>(before);
    diesel_async::RunQueryDsl::execute(statement, connection).await?;
    Ok(())
}

/// Blocks. Without a server in between, small statements are cheap.
fn on_sqlite(
    connection: &mut SqliteConnection,
    what: LastTimes,
    times: &[Used],
) -> diesel::QueryResult<()> {
    let LastTimes {
        table,
        column,
        known,
        ..
    } = what;
    let statement = format!(
        "UPDATE {table} SET {column} = ? WHERE id = ? AND ({known} IS NULL OR {known} <= ?)"
    );
    for (id, time, before) in times {
        let statement = diesel::sql_query(&statement)
            .bind::<SqlTime, _>(*time)
            .bind::<SqlUuid, _>(*id)
            .bind::<SqlTime, _>(*before);
        diesel::RunQueryDsl::execute(statement, connection)?;
    }
    Ok(())
}
