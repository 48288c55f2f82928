//! The keys of all accounts: what the operator does to many of them at once.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl};
use remotegpu_accounts::{AuditAction, AuditSubject, NewAuditEvent};
use remotegpu_keys::{InstallationKeys, KeyKind, OwnedKey};
use remotegpu_primitives::{AccountId, Act, ApiKeyId, StoreError};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    api_keys::kinds,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{RunQuery, on_each},
    error::Failure,
    identities::end_identities,
    schema::{api_keys, credential_identities},
    types::{DbTime, DbUuid},
};

/// Keys that are active.
macro_rules! active {
    ($now:expr) => {
        api_keys::revoked_at.is_null().and(
            api_keys::expires_at
                .is_null()
                .or(api_keys::expires_at.gt($now)),
        )
    };
}

fn owned((id, account): (DbUuid, DbUuid)) -> OwnedKey {
    OwnedKey {
        id: id.into(),
        account_id: account.into(),
    }
}

/// The kinds of rows that are meant.
fn words(kind: KeyKind) -> &'static [&'static str] {
    match kind {
        KeyKind::ApiKey => &[kinds::KEY],
        KeyKind::KubeconfigToken => &kinds::TOKENS,
    }
}

fn ended(kind: KeyKind, act: &Act, id: DbUuid, account: DbUuid) -> NewAuditEvent {
    let (action, subject) = match kind {
        KeyKind::ApiKey => (AuditAction::ApiKeyRevoked, AuditSubject::ApiKey(id.into())),
        KeyKind::KubeconfigToken => (
            AuditAction::KubeconfigTokenEnded,
            AuditSubject::KubeconfigToken(id.into()),
        ),
    };
    NewAuditEvent::new(act, account.into(), action, subject)
}

#[async_trait]
impl InstallationKeys for Database {
    async fn list_active(
        &self,
        kind: KeyKind,
        account: Option<AccountId>,
        after: Option<ApiKeyId>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<OwnedKey>, StoreError> {
        let rows: Vec<(DbUuid, DbUuid)> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = api_keys::table
                .filter(active!(DbTime::from(now)))
                .filter(api_keys::kind.eq_any(words(kind)))
                .select((api_keys::id, api_keys::account_id))
                .order(api_keys::id)
                .limit(i64::from(limit))
                .into_boxed();
            if let Some(account) = account {
                query = query.filter(api_keys::account_id.eq(DbUuid::from(account)));
            }
            if let Some(after) = after {
                query = query.filter(api_keys::id.gt(DbUuid::from(after)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        Ok(rows.into_iter().map(owned).collect())
    }

    async fn find_owned(
        &self,
        kind: KeyKind,
        ids: &[ApiKeyId],
        now: OffsetDateTime,
    ) -> Result<Vec<(OwnedKey, bool)>, StoreError> {
        type Row = (DbUuid, DbUuid, Option<DbTime>, Option<DbTime>);
        let ids: Vec<DbUuid> = ids.iter().map(|id| (*id).into()).collect();
        let rows: Vec<Row> = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(api_keys::id.eq_any(ids.iter().copied()))
            .filter(api_keys::kind.eq_any(words(kind)))
            .select((
                api_keys::id,
                api_keys::account_id,
                api_keys::revoked_at,
                api_keys::expires_at,
            ))
            .load(c)
            .await?))?;
        let now = DbTime::from(now);
        let judged = |(id, account, revoked_at, expires_at): Row| {
            let is_active = revoked_at.is_none() && expires_at.is_none_or(|end| end > now);
            (owned((id, account)), is_active)
        };
        Ok(rows.into_iter().map(judged).collect())
    }

    async fn revoke_each(
        &self,
        kind: KeyKind,
        keys: &[(OwnedKey, Act)],
    ) -> Result<Vec<OwnedKey>, StoreError> {
        let Some((_, first)) = keys.first() else {
            return Ok(Vec::new());
        };
        let now = first.at;
        let acts: BTreeMap<DbUuid, &Act> =
            keys.iter().map(|(key, act)| (key.id.into(), act)).collect();
        // In their order: two who hold several accounts never wait for each other.
        let accounts: BTreeSet<AccountId> = keys.iter().map(|(key, _)| key.account_id).collect();
        let revoked = with_tx!(self, |c| {
            for account in &accounts {
                if !hold_account!(c, *account) {
                    return Err(Failure::Conflict("there is no such account"));
                }
            }
            let rows: Vec<(DbUuid, DbUuid)> = diesel::update(api_keys::table)
                .filter(api_keys::id.eq_any(acts.keys().copied()))
                .filter(active!(DbTime::from(now)))
                .filter(api_keys::kind.eq_any(words(kind)))
                .set(api_keys::revoked_at.eq(DbTime::from(now)))
                .returning((api_keys::id, api_keys::account_id))
                .load(c)
                .await?;
            let of_these = credential_identities::key_id.eq_any(rows.iter().map(|(id, _)| *id));
            end_identities!(c, of_these, now);
            for (id, account) in &rows {
                if let Some(act) = acts.get(id) {
                    record!(c, ended(kind, act, *id, *account));
                }
            }
            Ok(rows)
        })?;
        Ok(revoked.into_iter().map(owned).collect())
    }
}
