//! The slow look at what identities stand on: a slice at a time, by one instance at a
//! time, and one that cannot be read keeps nobody from looking at the next.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, result::Error as QueryError,
};
use remotegpu_namespaces::NamespaceStatus;
use remotegpu_primitives::{IdentityId, StoreError};
use time::{Duration, OffsetDateTime};

use super::{
    BATCH, end_identities, living,
    reasons::{Justification, justifications, justified},
};
use crate::{
    Database,
    api_keys::{ApiKeyRow, has_unknown_words, presented},
    connection::with_conn,
    either::RunQuery,
    error::Failure,
    schema::{
        accounts, api_keys, credential_identities, identity_rounds, key_secrets, memberships,
        namespaces,
    },
    types::{DbTime, DbUuid},
};

/// How long all instances together rest after a slice: a little less than a sweep
/// does, so that a single instance takes one in each.
const PAUSE: Duration = Duration::seconds(40);
/// How many slices a round has, so that it takes about an hour.
const SLICES: i64 = 80;
/// A time that lies further ahead was written by a clock that was wrong.
const LATEST: Duration = Duration::HOUR;

impl Database {
    pub(super) async fn end_unjustified_slice(
        &self,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let Some((looked_up_to, slice)) = self.claim_slice(now).await? else {
            return Ok(0);
        };
        let (mut after, mut left) = (looked_up_to, slice);
        if after.is_none() {
            left = self.size_of_slice().await?;
        }
        let size = left;
        let mut ended = 0;
        while left > 0 {
            let wanted = left.min(BATCH);
            let ids = self.living_after(after, wanted, now).await?;
            for id in self.without_reason(&ids, now).await? {
                // One by one: no two rows are held at a time, so that nobody who
                // holds others is waited for in a circle.
                let count = with_conn!(self, write, |c| Ok(end_identities!(
                    c,
                    credential_identities::id.eq(id),
                    now
                )))?;
                ended += count as u64;
            }
            left -= wanted;
            after = ids.last().copied();
            if i64::try_from(ids.len()).is_ok_and(|found| found < wanted) {
                // The round is over.
                after = None;
                break;
            }
        }
        with_conn!(self, write, |c| {
            diesel::update(identity_rounds::table)
                .set((
                    identity_rounds::looked_up_to.eq(after),
                    identity_rounds::slice.eq(size),
                ))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(ended)
    }

    /// Where the next slice begins and how long it is, unless it is not due yet or
    /// another instance has it.
    async fn claim_slice(
        &self,
        now: OffsetDateTime,
    ) -> Result<Option<(Option<DbUuid>, i64)>, StoreError> {
        let next = DbTime::from(now + PAUSE);
        with_conn!(self, write, |c| Ok(diesel::update(identity_rounds::table)
            .filter(
                identity_rounds::due_at
                    .le(DbTime::from(now))
                    .or(identity_rounds::due_at.gt(DbTime::from(now + LATEST))),
            )
            .set(identity_rounds::due_at.eq(next))
            .returning((identity_rounds::looked_up_to, identity_rounds::slice))
            .get_result(c)
            .await
            .optional()?))
        .map_err(StoreError::from)
    }

    async fn size_of_slice(&self) -> Result<i64, StoreError> {
        let all: i64 = with_conn!(self, read, |c| Ok(credential_identities::table
            .count()
            .get_result(c)
            .await?))?;
        Ok((all / SLICES + 1).max(BATCH))
    }

    async fn living_after(
        &self,
        after: Option<DbUuid>,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<DbUuid>, StoreError> {
        let after = after.unwrap_or(DbUuid(uuid::Uuid::nil()));
        let ids = with_conn!(self, read, |c| Ok(credential_identities::table
            .filter(credential_identities::id.gt(after))
            .filter(living!(now))
            .order(credential_identities::id)
            .limit(limit)
            .select(credential_identities::id)
            .load(c)
            .await?))?;
        Ok(ids)
    }

    /// Those of these that nothing justifies. Read together; where a row among them
    /// cannot be read, each by itself.
    async fn without_reason(
        &self,
        ids: &[DbUuid],
        now: OffsetDateTime,
    ) -> Result<Vec<DbUuid>, StoreError> {
        let rows = match self.justifications_of(ids).await {
            Ok(rows) => rows,
            Err(failure) if is_unreadable(&failure) && ids.len() > 1 => {
                let mut without = Vec::new();
                for id in ids {
                    without.extend(Box::pin(self.without_reason(&[*id], now)).await?);
                }
                return Ok(without);
            }
            Err(failure) if is_unreadable(&failure) => {
                for id in ids {
                    tell(*id, &failure);
                }
                return Ok(ids.to_vec());
            }
            Err(failure) => return Err(failure.into()),
        };
        let mut without = Vec::new();
        for (id, namespace, state, key) in rows {
            // What a newer version justified is its to judge (contract R6).
            let newer = NamespaceStatus::from_stored(&state.1).is_none() || has_unknown_words(&key);
            if !newer && !justified(&presented(key), namespace.into(), &state, now) {
                without.push(id);
            }
        }
        Ok(without)
    }

    async fn justifications_of(&self, ids: &[DbUuid]) -> Result<Vec<Justification>, Failure> {
        with_conn!(self, read, |c| Ok(justifications!()
            .filter(credential_identities::id.eq_any(ids))
            .load(c)
            .await?))
    }
}

/// Whether the database answered, with something that no row of ours holds.
fn is_unreadable(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Query(QueryError::DeserializationError(_)) | Failure::Corrupt(_)
    )
}

fn tell(id: DbUuid, failure: &Failure) {
    tracing::warn!(
        identity = %IdentityId::from(id),
        error = failure as &dyn std::error::Error,
        "what a cluster identity stands on cannot be read, and it is ended"
    );
}
