//! Many events at once, which the two databases do in their own ways: a parameter for
//! each column of each row, or a statement for each row, would cost PostgreSQL more
//! than the rows.

use diesel::{
    RunQueryDsl, SqliteConnection,
    sql_types::{Array, Nullable, Text},
};
use diesel_async::AsyncPgConnection;

use super::EventRow;
use crate::{
    error::Failure,
    schema::audit_events,
    types::{SqlTime, SqlUuid},
};

/// An event that is there already was written by a flush whose answer was lost.
const ON_POSTGRES: &str = "
    INSERT INTO audit_events (account_id, id, occurred_at, action, actor_type, actor_id,
        subject_type, subject_id, ip, request_id, details)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT DO NOTHING";

pub async fn on_postgres(
    connection: &mut AsyncPgConnection,
    events: &[EventRow],
) -> Result<(), Failure> {
    macro_rules! column {
        ($column:ident) => {
            events.iter().map(|row| &row.$column).collect::<Vec<_>>()
        };
    }
    let statement = diesel::sql_query(ON_POSTGRES)
        .bind::<Array<SqlUuid>, _>(column!(account_id))
        .bind::<Array<SqlUuid>, _>(column!(id))
        .bind::<Array<SqlTime>, _>(column!(occurred_at))
        .bind::<Array<Text>, _>(column!(action))
        .bind::<Array<Text>, _>(column!(actor_type))
        .bind::<Array<Nullable<SqlUuid>>, _>(column!(actor_id))
        .bind::<Array<Text>, _>(column!(subject_type))
        .bind::<Array<SqlUuid>, _>(column!(subject_id))
        .bind::<Array<Nullable<Text>>, _>(column!(ip))
        .bind::<Array<Nullable<Text>>, _>(column!(request_id))
        .bind::<Array<Text>, _>(column!(details));
    diesel_async::RunQueryDsl::execute(statement, connection).await?;
    Ok(())
}

/// Blocks. Without a server in between, small statements are cheap.
pub fn on_sqlite(
    connection: &mut SqliteConnection,
    events: Vec<EventRow>,
) -> diesel::QueryResult<()> {
    for row in events {
        diesel::insert_into(audit_events::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(connection)?;
    }
    Ok(())
}
