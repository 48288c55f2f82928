//! Forms that were sent (contract H3).

use async_trait::async_trait;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use remotegpu_accounts::{ClaimedForm, FormKey, FormRepository};
use remotegpu_primitives::{FormHash, StoreError};
use time::OffsetDateTime;

use crate::{
    Database,
    connection::{with_conn, with_tx},
    either::RunQuery,
    error::Failure,
    schema::{form_claims, form_keys},
    types::DbTime,
};

/// Claims the form that asked for the act, where one did; one that was claimed before
/// undoes the act.
macro_rules! claim {
    ($connection:expr, $act:expr) => {
        if let Some(form) = $act.origin.form {
            let claimed_at = $crate::types::DbTime::from($act.at);
            diesel::insert_into($crate::schema::form_claims::table)
                .values((
                    $crate::schema::form_claims::hash.eq(form.0.to_vec()),
                    $crate::schema::form_claims::claimed_at.eq(claimed_at),
                ))
                .execute($connection)
                .await?;
        }
    };
}

pub(crate) use claim;

#[async_trait]
impl FormRepository for Database {
    async fn form_key(&self, candidate: FormKey) -> Result<FormKey, StoreError> {
        let secret = with_tx!(self, |c| {
            diesel::insert_into(form_keys::table)
                .values((
                    form_keys::id.eq(1),
                    form_keys::secret.eq(candidate.0.to_vec()),
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            let secret: Vec<u8> = form_keys::table.select(form_keys::secret).first(c).await?;
            let secret: Result<[u8; 32], _> = secret.try_into();
            secret.map_err(|_| Failure::Corrupt("the key of forms is none".to_owned()))
        })?;
        Ok(FormKey(secret))
    }

    async fn find_claimed(
        &self,
        form: FormHash,
        now: OffsetDateTime,
    ) -> Result<Option<ClaimedForm>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(form_claims::table
            .filter(form_claims::hash.eq(form.0.to_vec()))
            .select((
                form_claims::claimed_at,
                form_claims::answer,
                form_claims::answer_until,
            ))
            .first::<(DbTime, Option<Vec<u8>>, Option<DbTime>)>(c)
            .await
            .optional()?))?;
        Ok(row.map(|(at, answer, until)| ClaimedForm {
            at: at.into(),
            answer: answer.filter(|_| until.is_some_and(|until| until > DbTime::from(now))),
        }))
    }

    async fn keep_answer(
        &self,
        form: FormHash,
        answer: &[u8],
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::update(form_claims::table.filter(form_claims::hash.eq(form.0.to_vec())))
                .set((
                    form_claims::answer.eq(Some(answer.to_vec())),
                    form_claims::answer_until.eq(Some(DbTime::from(until))),
                ))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn forget_answer(&self, form: FormHash) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            // Not as if there were none yet: that one is waited for.
            diesel::update(form_claims::table.filter(form_claims::hash.eq(form.0.to_vec())))
                .set(form_claims::answer.eq(Some(Vec::new())))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn delete_forms(
        &self,
        before: OffsetDateTime,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let deleted = with_conn!(self, write, |c| {
            diesel::update(
                form_claims::table.filter(form_claims::answer_until.le(DbTime::from(now))),
            )
            .set((
                form_claims::answer.eq(None::<Vec<u8>>),
                form_claims::answer_until.eq(None::<DbTime>),
            ))
            .execute(c)
            .await?;
            let old: Vec<Vec<u8>> = form_claims::table
                .filter(form_claims::claimed_at.lt(DbTime::from(before)))
                .select(form_claims::hash)
                .limit(i64::from(limit))
                .load(c)
                .await?;
            Ok(
                diesel::delete(form_claims::table.filter(form_claims::hash.eq_any(old)))
                    .execute(c)
                    .await?,
            )
        })?;
        Ok(deleted as u64)
    }
}
