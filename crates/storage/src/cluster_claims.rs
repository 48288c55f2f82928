//! Who this database is, and what it wrote last into each cluster's claim.

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable};
use diesel::{dsl::sql, sql_types::Text};
use remotegpu_namespaces::{
    ClaimHolder, ClaimRepository, ClusterName, ClusterUid, DatabaseIdentity, KnownClaim,
};
use remotegpu_primitives::{InstallationId, StoreError};

use crate::{
    Database,
    connection::with_conn,
    database::Source,
    either::{Columns, RunQuery},
    error::Failure,
    schema::{cluster_claims, installation},
    types::{DbTime, DbUuid},
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = cluster_claims)]
struct ClaimRow {
    cluster_uid: String,
    counter: i64,
    look_for_missing: bool,
    taken_at: DbTime,
}

impl From<ClaimRow> for KnownClaim {
    fn from(row: ClaimRow) -> Self {
        Self {
            cluster: ClusterUid::new(row.cluster_uid),
            counter: row.counter.unsigned_abs(),
            look_for_missing: row.look_for_missing,
            taken_at: row.taken_at.into(),
        }
    }
}

/// What a cluster tells may be any number.
fn stored(counter: u64) -> Result<i64, Failure> {
    i64::try_from(counter).map_err(|_| Failure::Conflict("a claim's counter is too large"))
}

/// A table that every migrated database has: a dump that is restored into the same
/// database makes it anew, and so gives it another oid.
const MAKING: &str = "('installation'::regclass::oid::text)";

impl Database {
    /// Which of all databases that ever stood in this place it is, where that shows.
    async fn making(&self) -> Result<Option<String>, StoreError> {
        let Source::Postgres(_) = self.source() else {
            return Ok(None);
        };
        let making = with_conn!(self, read, |c| {
            Ok(diesel::select(sql::<Text>(MAKING)).get_result(c).await?)
        })?;
        Ok(Some(making))
    }
}

/// What of a claim is written.
macro_rules! columns {
    ($taken:expr, $counter:expr) => {
        (
            cluster_claims::cluster_uid.eq($taken.cluster.as_str()),
            cluster_claims::counter.eq($counter),
            cluster_claims::look_for_missing.eq($taken.look_for_missing),
            cluster_claims::taken_at.eq(DbTime::from($taken.taken_at)),
        )
    };
}

#[async_trait]
impl ClaimRepository for Database {
    async fn settle_holder(&self, id: InstallationId) -> Result<(), StoreError> {
        // A SQLite database gets its word by being asked for it.
        self.identity().await?;
        with_conn!(self, write, |c| {
            diesel::update(installation::table.filter(installation::uuid.is_null()))
                .set(installation::uuid.eq(DbUuid::from(id)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn installation(&self) -> Result<Option<InstallationId>, StoreError> {
        let installation: Option<Option<DbUuid>> = with_conn!(self, read, |c| {
            let ids = installation::table.select(installation::uuid);
            Ok(ids.first(c).await.optional()?)
        })?;
        Ok(installation.flatten().map(Into::into))
    }

    async fn holder(&self) -> Result<Option<ClaimHolder>, StoreError> {
        let Some(installation) = self.installation().await? else {
            return Ok(None);
        };
        let place = self.identity().await?.as_str().to_owned();
        Ok(Some(ClaimHolder {
            installation,
            database: DatabaseIdentity::new(place, self.making().await?),
        }))
    }

    async fn known_claim(&self, cluster: &ClusterName) -> Result<Option<KnownClaim>, StoreError> {
        let row: Option<ClaimRow> = with_conn!(self, read, |c| Ok(cluster_claims::table
            .filter(cluster_claims::cluster.eq(cluster.as_str()))
            .select(ClaimRow::columns())
            .first::<ClaimRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(KnownClaim::from))
    }

    async fn raise_claim(
        &self,
        cluster: &ClusterName,
        from: u64,
        to: u64,
    ) -> Result<bool, StoreError> {
        let (from, to) = (stored(from)?, stored(to)?);
        let raised = with_conn!(self, write, |c| Ok(diesel::update(cluster_claims::table)
            .filter(cluster_claims::cluster.eq(cluster.as_str()))
            .filter(cluster_claims::counter.eq(from))
            .set(cluster_claims::counter.eq(to))
            .execute(c)
            .await?))?;
        Ok(raised == 1)
    }

    async fn take_unclaimed(
        &self,
        cluster: &ClusterName,
        taken: &KnownClaim,
        before: Option<u64>,
    ) -> Result<bool, StoreError> {
        let counter = stored(taken.counter)?;
        let before = before.map(stored).transpose()?;
        let rows = with_conn!(self, write, |c| Ok(match before {
            None =>
                diesel::insert_into(cluster_claims::table)
                    .values((
                        cluster_claims::cluster.eq(cluster.as_str()),
                        columns!(taken, counter),
                    ))
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await?,
            Some(before) =>
                diesel::update(cluster_claims::table)
                    .filter(cluster_claims::cluster.eq(cluster.as_str()))
                    .filter(cluster_claims::counter.eq(before))
                    .set(columns!(taken, counter))
                    .execute(c)
                    .await?,
        }))?;
        Ok(rows == 1)
    }

    async fn take_claim(
        &self,
        cluster: &ClusterName,
        taken: &KnownClaim,
    ) -> Result<(), StoreError> {
        let counter = stored(taken.counter)?;
        let set = || columns!(taken, counter);
        with_conn!(self, write, |c| {
            diesel::insert_into(cluster_claims::table)
                .values((cluster_claims::cluster.eq(cluster.as_str()), set()))
                .on_conflict(cluster_claims::cluster)
                .do_update()
                .set(set())
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn missing_is_noted(&self, cluster: &ClusterName) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::update(cluster_claims::table)
                .filter(cluster_claims::cluster.eq(cluster.as_str()))
                .set(cluster_claims::look_for_missing.eq(false))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
