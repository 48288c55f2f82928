//! When tokens were last minted for identities, and the end of those for which none
//! was minted for long (contract X12).

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName};
use remotegpu_primitives::{IdentityId, StoreError};
use time::OffsetDateTime;

use crate::{
    Database,
    connection::{with_conn, with_tx},
    database::Pools,
    either::RunQuery,
    identities::{end_identities, living},
    schema::credential_identities,
    types::{DbTime, DbUuid, SqlTime, SqlUuid, time_or},
};

/// Identities for which nothing was minted for long. Their rows are locked, but not those
/// that somebody holds at this moment: who ends the identities of a key holds several too,
/// and each would wait for the other. They are due in the next sweep as well.
fn idle_ones(lock: &str) -> String {
    format!(
        "SELECT id FROM credential_identities
        WHERE coalesce(last_minted_at, created_at) < $1 AND (ends_at IS NULL OR ends_at > $2)
        ORDER BY coalesce(last_minted_at, created_at) LIMIT $3 {lock}"
    )
}

#[derive(QueryableByName)]
struct IdleOne {
    #[diesel(sql_type = SqlUuid)]
    id: DbUuid,
}

impl Database {
    pub(super) async fn end_idle_identities(
        &self,
        before: OffsetDateTime,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let (before, now) = (DbTime::from(before), DbTime::from(now));
        // Looked for by a reader: mostly there is none, and no writer is disturbed.
        let any: Vec<DbUuid> = with_conn!(self, read, |c| Ok(credential_identities::table
            .filter(
                time_or(
                    credential_identities::last_minted_at,
                    credential_identities::created_at,
                )
                .lt(before),
            )
            .filter(living!(now))
            .order(time_or(
                credential_identities::last_minted_at,
                credential_identities::created_at,
            ))
            .limit(1)
            .select(credential_identities::id)
            .load(c)
            .await?))?;
        if any.is_empty() {
            return Ok(0);
        }
        let statement = idle_ones(match self.pools() {
            Pools::Postgres(_) => "FOR NO KEY UPDATE SKIP LOCKED",
            Pools::Sqlite { .. } => "",
        });
        // Nobody mints for one of these from here on, or was before, and it is none.
        let ended = with_tx!(self, |c| {
            let idle: Vec<IdleOne> = diesel::sql_query(&statement)
                .bind::<SqlTime, _>(before)
                .bind::<SqlTime, _>(now)
                .bind::<diesel::sql_types::BigInt, _>(i64::from(limit))
                .load(c)
                .await?;
            let these = credential_identities::id.eq_any(idle.iter().map(|one| one.id));
            Ok(end_identities!(c, these, now))
        })?;
        Ok(ended as u64)
    }

    pub(super) async fn note_identity_mint(
        &self,
        id: IdentityId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = DbTime::from(now);
        let noted = with_conn!(self, write, |c| Ok(diesel::update(
            credential_identities::table
        )
        .filter(credential_identities::id.eq(DbUuid::from(id)))
        .filter(living!(now))
        .filter(
            time_or(
                credential_identities::last_minted_at,
                credential_identities::created_at,
            )
            .lt(now),
        )
        .set(credential_identities::last_minted_at.eq(now))
        .execute(c)
        .await?))?;
        if noted > 0 {
            return Ok(true);
        }
        // Somebody noted a later mint meanwhile, or it has ended.
        let living: i64 = with_conn!(self, read, |c| Ok(credential_identities::table
            .filter(credential_identities::id.eq(DbUuid::from(id)))
            .filter(living!(now))
            .count()
            .get_result(c)
            .await?))?;
        Ok(living > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::idle_ones;

    #[test]
    fn placeholders_come_in_the_order_of_their_numbers() {
        // SQLite takes `$2` for a name and counts names as they come.
        let statement = idle_ones("");
        let first = |number: &str| statement.find(number).unwrap();
        assert!(first("$1") < first("$2") && first("$2") < first("$3"));
    }
}
