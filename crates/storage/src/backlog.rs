//! How much work on the clusters waits, for the metrics.

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, dsl};
use diesel_async::RunQueryDsl;
use remotegpu_namespaces::{Backlog, BacklogSource, NamespaceStatus};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{
    Database,
    connection::with_conn,
    error::Failure,
    schema::{credential_identities, namespaces},
    types::{DbTime, domain_time},
};

#[async_trait]
impl BacklogSource for Database {
    async fn backlog(&self, now: OffsetDateTime) -> Result<Backlog, StoreError> {
        // Both by an index that has only what is to be done.
        let unsettled = namespaces::next_attempt_at.is_not_null();
        let ended = credential_identities::ends_at.le(DbTime::from(now));
        let (counts, (identities, oldest)) = with_conn!(self, read, |c| {
            let counts: Vec<(String, i64)> = namespaces::table
                .filter(unsettled)
                .group_by(namespaces::status)
                .select((namespaces::status, dsl::count_star()))
                .load(c)
                .await?;
            let count: i64 = credential_identities::table
                .filter(ended)
                .count()
                .first(c)
                .await?;
            // A binding that is left gives nobody anything.
            let oldest: Option<DbTime> = credential_identities::table
                .filter(ended)
                .filter(credential_identities::powerless_at.is_null())
                .select(dsl::min(credential_identities::ends_at))
                .first(c)
                .await?;
            Ok((counts, (count, oldest)))
        })?;
        let namespaces: Result<Vec<(NamespaceStatus, u64)>, Failure> = counts
            .into_iter()
            .map(|(word, count)| {
                let status = NamespaceStatus::from_stored(&word)
                    .ok_or_else(|| Failure::Corrupt(format!("{word} is no status")))?;
                Ok((status, count.unsigned_abs()))
            })
            .collect();
        Ok(Backlog {
            namespaces: namespaces?,
            ended_identities: identities.unsigned_abs(),
            oldest_end: domain_time(oldest),
        })
    }
}
