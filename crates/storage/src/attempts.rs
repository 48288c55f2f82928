//! Attempts to sign in and up, counted for all instances together.

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, dsl};
use remotegpu_accounts::{Attempt, AttemptKind, AttemptOutcome, AttemptRepository};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::{Database, connection::with_conn, either::RunQuery, schema::attempts, types::DbTime};

/// How many old rows one attempt clears away: more than one, so that they do not
/// pile up, and few, so that no attempt is slow for it.
const PURGED_AT_ONCE: i64 = 32;

#[async_trait]
impl AttemptRepository for Database {
    async fn begin(
        &self,
        attempt: &Attempt,
        now: OffsetDateTime,
    ) -> Result<AttemptOutcome, StoreError> {
        let stored = DbTime::from(now);
        let since = DbTime::from(now - Attempt::WINDOW);
        // Each statement commits by itself. The own row stands before anything
        // is counted: of any number at once, the one that counts last sees all,
        // and so no more than the limit go on.
        let oldest = with_conn!(self, write, |c| {
            let own: i64 = diesel::insert_into(attempts::table)
                .values((
                    attempts::kind.eq(attempt.kind_str()),
                    attempts::address.eq(attempt.address.as_bytes().as_slice()),
                    attempts::email_hash.eq(attempt.email_hash.as_slice()),
                    attempts::created_at.eq(stored),
                ))
                .returning(attempts::id)
                .get_result(c)
                .await?;
            let old = attempts::table
                .filter(attempts::created_at.le(since))
                .order(attempts::created_at)
                .select(attempts::id)
                .limit(PURGED_AT_ONCE)
                .load::<i64>(c)
                .await?;
            if !old.is_empty() {
                diesel::delete(attempts::table.filter(attempts::id.eq_any(old)))
                    .execute(c)
                    .await?;
            }

            let others = attempts::table
                .filter(attempts::address.eq(attempt.address.as_bytes().as_slice()))
                .filter(attempts::kind.eq(attempt.kind_str()))
                .filter(attempts::created_at.gt(since))
                .filter(attempts::id.ne(own));
            let measure = (dsl::count_star(), dsl::min(attempts::created_at));
            let (count, oldest): (i64, Option<DbTime>) = others.select(measure).first(c).await?;
            let mut full = (count >= Attempt::ADDRESS_LIMIT).then_some(oldest);
            if full.is_none() && attempt.kind == AttemptKind::SignIn {
                let (count, oldest): (i64, Option<DbTime>) = others
                    .filter(attempts::email_hash.eq(attempt.email_hash.as_slice()))
                    .select(measure)
                    .first(c)
                    .await?;
                full = (count >= Attempt::PAIR_LIMIT).then_some(oldest);
            }
            if full.is_some() {
                diesel::delete(attempts::table.filter(attempts::id.eq(own)))
                    .execute(c)
                    .await?;
            }
            Ok(full)
        })?;
        Ok(match oldest {
            None => AttemptOutcome::Allowed,
            Some(oldest) => {
                let oldest = oldest.map_or(now, OffsetDateTime::from);
                let wait = oldest + Attempt::WINDOW - now;
                AttemptOutcome::Throttled(wait.max(Duration::SECOND))
            }
        })
    }

    async fn clear(&self, attempt: &Attempt) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::delete(attempts::table)
                .filter(attempts::address.eq(attempt.address.as_bytes().as_slice()))
                .filter(attempts::kind.eq(attempt.kind_str()))
                .filter(attempts::email_hash.eq(attempt.email_hash.as_slice()))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
