//! How much work on the clusters waits, for the metrics.

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, dsl};
use remotegpu_namespaces::{Backlog, BacklogSource, ClusterName, HeldKind, NamespaceStatus};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{
    Database,
    connection::with_conn,
    either::RunQuery,
    schema::{credential_identities, held_namespaces, namespaces},
    types::{DbTime, domain_time},
};

#[async_trait]
impl BacklogSource for Database {
    async fn backlog(&self, now: OffsetDateTime) -> Result<Backlog, StoreError> {
        // Both by an index that has only what is to be done.
        let unsettled = namespaces::next_attempt_at.is_not_null();
        let ended = credential_identities::ends_at.le(DbTime::from(now));
        let (counts, (identities, oldest), held) = with_conn!(self, read, |c| {
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
            let held: Vec<(String, i64)> = held_namespaces::table
                .filter(held_namespaces::kind.eq(HeldKind::Held.as_str()))
                .group_by(held_namespaces::cluster)
                .select((held_namespaces::cluster, dsl::count_star()))
                .load(c)
                .await?;
            Ok((counts, (count, oldest), held))
        })?;
        // A status that a newer version gave is work of that version (contract R6).
        let known = counts.into_iter().filter_map(|(word, count)| {
            let status = NamespaceStatus::from_stored(&word)?;
            Some((status, count.unsigned_abs()))
        });
        Ok(Backlog {
            namespaces: known.collect(),
            ended_identities: identities.unsigned_abs(),
            oldest_end: domain_time(oldest),
            held: held
                .into_iter()
                .map(|(cluster, count)| (ClusterName::from_stored(cluster), count.unsigned_abs()))
                .collect(),
        })
    }
}
