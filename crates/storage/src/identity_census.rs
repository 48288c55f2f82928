//! How many cluster identities stand on keys.

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, dsl::count_star};
use remotegpu_namespaces::{ClusterName, IdentityCensus};
use remotegpu_primitives::{ApiKeyId, StoreError};
use time::OffsetDateTime;

use crate::{
    Database, connection::with_conn, either::RunQuery, identities::living,
    schema::credential_identities, types::DbUuid,
};

#[async_trait]
impl IdentityCensus for Database {
    async fn count_living_of(
        &self,
        keys: &[ApiKeyId],
        now: OffsetDateTime,
    ) -> Result<Vec<(ClusterName, u64)>, StoreError> {
        let keys: Vec<DbUuid> = keys.iter().map(|key| (*key).into()).collect();
        let counts: Vec<(String, i64)> =
            with_conn!(self, read, |c| Ok(credential_identities::table
                .filter(credential_identities::key_id.eq_any(keys.iter().copied()))
                .filter(living!(now))
                .group_by(credential_identities::cluster)
                .order(credential_identities::cluster)
                .select((credential_identities::cluster, count_star()))
                .load(c)
                .await?))?;
        let named =
            |(name, count): (String, i64)| (ClusterName::from_stored(name), count.unsigned_abs());
        Ok(counts.into_iter().map(named).collect())
    }
}
