//! Leases on the sweeping of clusters, by the database's own clock (contract R10).

use std::time::Duration;

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, dsl::sql};
use remotegpu_namespaces::{ClusterName, SweepLeaseRepository};
use remotegpu_primitives::{InstanceId, StoreError};

use crate::{
    Database,
    connection::{with_conn, with_tx},
    database::Pools,
    either::RunQuery,
    schema::sweep_leases,
    types::{DbUuid, SqlTime},
};

/// The time of a statement, and a time that is so much later, in the words of the
/// database.
struct DatabaseClock {
    now: String,
    later: String,
}

impl DatabaseClock {
    fn of(database: &Database, length: Duration) -> Self {
        match database.pools() {
            Pools::Postgres(_) => Self {
                now: "clock_timestamp()".to_owned(),
                later: format!(
                    "clock_timestamp() + interval '{} microseconds'",
                    length.as_micros()
                ),
            },
            Pools::Sqlite { .. } => {
                let now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
                Self {
                    now: now.to_owned(),
                    later: format!("{now} + {}", length.as_micros()),
                }
            }
        }
    }
}

#[async_trait]
impl SweepLeaseRepository for Database {
    async fn hold(
        &self,
        cluster: &ClusterName,
        holder: InstanceId,
        length: Duration,
    ) -> Result<bool, StoreError> {
        let clock = DatabaseClock::of(self, length);
        let held = with_conn!(self, write, |c| {
            let (own, over) = (
                sweep_leases::holder.eq(DbUuid::from(holder)),
                sweep_leases::held_until.le(sql::<SqlTime>(&clock.now)),
            );
            let until = sweep_leases::held_until.eq(sql::<SqlTime>(&clock.later));
            let taken = diesel::update(sweep_leases::table)
                .filter(sweep_leases::cluster.eq(cluster.as_str()))
                .filter(own.or(over))
                .set((sweep_leases::holder.eq(DbUuid::from(holder)), until))
                .execute(c)
                .await?;
            if taken > 0 {
                return Ok(true);
            }
            // Of two at once that find none, one inserts it.
            let until = sweep_leases::held_until.eq(sql::<SqlTime>(&clock.later));
            let first = diesel::insert_into(sweep_leases::table)
                .values((
                    sweep_leases::cluster.eq(cluster.as_str()),
                    sweep_leases::holder.eq(DbUuid::from(holder)),
                    until,
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            Ok(first > 0)
        })?;
        Ok(held)
    }

    async fn release(&self, holder: InstanceId) -> Result<(), StoreError> {
        // As a transaction, because who ends may have lost the connections of threads that have
        // ended before, and a beginning is tried on another.
        with_tx!(self, |c| {
            diesel::delete(sweep_leases::table)
                .filter(sweep_leases::holder.eq(DbUuid::from(holder)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
