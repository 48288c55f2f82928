//! The access tokens of all accounts: what the operator does to many of them at once.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl};
use remotegpu_access_tokens::{InstallationAccessTokens, OwnedAccessToken, TokenHandle};
use remotegpu_primitives::{AccessTokenId, AccountId, Act, StoreError};
use time::OffsetDateTime;

use super::{Gone, deleted, gone};
use crate::{
    Database,
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{RunQuery, on_each},
    error::Failure,
    schema::access_tokens,
    types::{DbTime, DbUuid},
};

type OwnedRow = (DbUuid, DbUuid, String);

fn owned((id, account, handle): OwnedRow) -> OwnedAccessToken {
    OwnedAccessToken {
        id: id.into(),
        handle: TokenHandle::from_stored(handle),
        account_id: account.into(),
    }
}

#[async_trait]
impl InstallationAccessTokens for Database {
    async fn list_active(
        &self,
        account: Option<AccountId>,
        after: Option<AccessTokenId>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<OwnedAccessToken>, StoreError> {
        let rows: Vec<OwnedRow> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = access_tokens::table
                .filter(
                    access_tokens::expires_at
                        .is_null()
                        .or(access_tokens::expires_at.gt(DbTime::from(now))),
                )
                .select((
                    access_tokens::id,
                    access_tokens::account_id,
                    access_tokens::handle,
                ))
                .order(access_tokens::id)
                .limit(i64::from(limit))
                .into_boxed();
            if let Some(account) = account {
                query = query.filter(access_tokens::account_id.eq(DbUuid::from(account)));
            }
            if let Some(after) = after {
                query = query.filter(access_tokens::id.gt(DbUuid::from(after)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        Ok(rows.into_iter().map(owned).collect())
    }

    async fn find_owned(
        &self,
        handles: &[TokenHandle],
        now: OffsetDateTime,
    ) -> Result<Vec<(OwnedAccessToken, bool)>, StoreError> {
        let handles: Vec<&str> = handles.iter().map(TokenHandle::as_str).collect();
        let rows: Vec<(DbUuid, DbUuid, String, Option<DbTime>)> =
            with_conn!(self, read, |c| Ok(access_tokens::table
                .filter(access_tokens::handle.eq_any(handles.iter().copied()))
                .select((
                    access_tokens::id,
                    access_tokens::account_id,
                    access_tokens::handle,
                    access_tokens::expires_at,
                ))
                .load(c)
                .await?))?;
        let now = DbTime::from(now);
        let judged = |(id, account, handle, expires_at): (_, _, _, Option<DbTime>)| {
            let is_active = expires_at.is_none_or(|end| end > now);
            (owned((id, account, handle)), is_active)
        };
        Ok(rows.into_iter().map(judged).collect())
    }

    async fn delete_each(
        &self,
        tokens: &[(OwnedAccessToken, Act)],
    ) -> Result<Vec<OwnedAccessToken>, StoreError> {
        let acts: BTreeMap<DbUuid, &Act> = tokens
            .iter()
            .map(|(token, act)| (token.id.into(), act))
            .collect();
        // In their order: two who hold several accounts never wait for each other.
        let accounts: BTreeSet<AccountId> =
            tokens.iter().map(|(token, _)| token.account_id).collect();
        let all = with_tx!(self, |c| {
            for account in &accounts {
                if !hold_account!(c, *account) {
                    return Err(Failure::Conflict("there is no such account"));
                }
            }
            let of_these = access_tokens::id.eq_any(acts.keys().copied());
            let all: Vec<Gone> = diesel::delete(access_tokens::table.filter(of_these))
                .returning(gone!())
                .load(c)
                .await?;
            for gone in &all {
                if let Some(act) = acts.get(&gone.0) {
                    record!(c, deleted(act, gone));
                }
            }
            Ok(all)
        })?;
        let owned = |(id, account, handle, _): Gone| owned((id, account, handle));
        Ok(all.into_iter().map(owned).collect())
    }
}
