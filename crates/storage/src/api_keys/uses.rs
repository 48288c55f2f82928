//! When keys were last used, written in batches (contract K14). One of the few
//! things that the two databases do in their own ways: a statement for each key
//! would cost more than the requests that it counts.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, SqliteConnection,
    sql_types::Array,
};
use diesel_async::AsyncPgConnection;
use time::Duration;

use crate::{
    error::Failure,
    schema::api_keys,
    types::{DbTime, DbUuid, SqlTime, SqlUuid},
};

/// A key's time is written at most so often, by all instances together.
const INTERVAL: Duration = Duration::MINUTE;

/// Key, time of its use, and before when the stored one must be.
pub type KeyUse = (DbUuid, DbTime, DbTime);

pub fn key_use(key: DbUuid, time: time::OffsetDateTime) -> KeyUse {
    (key, time.into(), (time - INTERVAL).into())
}

/// A row that somebody else holds is passed over: it is not worth a wait, let
/// alone a deadlock. One that somebody's new row only points to is not held by it.
const ON_POSTGRES: &str = "
    WITH due AS MATERIALIZED (
        SELECT api_keys.id, used.at
        FROM unnest($1, $2, $3) AS used (id, at, before) JOIN api_keys ON api_keys.id = used.id
        WHERE api_keys.last_used_at IS NULL OR api_keys.last_used_at <= used.before
        FOR NO KEY UPDATE OF api_keys SKIP LOCKED
    )
    UPDATE api_keys SET last_used_at = due.at FROM due WHERE api_keys.id = due.id";

pub async fn on_postgres(
    connection: &mut AsyncPgConnection,
    uses: &[KeyUse],
) -> Result<(), Failure> {
    let ids: Vec<DbUuid> = uses.iter().map(|(id, ..)| *id).collect();
    let times: Vec<DbTime> = uses.iter().map(|(_, time, _)| *time).collect();
    let before: Vec<DbTime> = uses.iter().map(|(.., before)| *before).collect();
    let statement = diesel::sql_query(ON_POSTGRES)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<SqlTime>, _>(times)
        .bind::<Array<SqlTime>, _>(before);
    diesel_async::RunQueryDsl::execute(statement, connection).await?;
    Ok(())
}

/// Blocks. Without a server in between, small statements are cheap.
pub fn on_sqlite(connection: &mut SqliteConnection, uses: &[KeyUse]) -> diesel::QueryResult<()> {
    for (id, time, before) in uses {
        let never = api_keys::last_used_at.is_null();
        diesel::update(api_keys::table.filter(api_keys::id.eq(*id)))
            .filter(never.or(api_keys::last_used_at.le(*before)))
            .set(api_keys::last_used_at.eq(*time))
            .execute(connection)?;
    }
    Ok(())
}
