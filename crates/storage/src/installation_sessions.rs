//! The sessions of all accounts: what the operator does to many of them at once.

use std::collections::BTreeMap;

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl};
use remotegpu_accounts::{
    AuditAction, AuditSubject, InstallationSessions, NewAuditEvent, OwnedSession,
};
use remotegpu_primitives::{AccountId, Act, SessionId, StoreError};

use crate::{
    Database,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{RunQuery, on_each},
    schema::sessions,
    types::DbUuid,
};

fn owned((id, account): (DbUuid, DbUuid)) -> OwnedSession {
    OwnedSession {
        id: id.into(),
        account_id: account.into(),
    }
}

#[async_trait]
impl InstallationSessions for Database {
    async fn list(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<OwnedSession>, StoreError> {
        let rows: Vec<(DbUuid, DbUuid)> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = sessions::table
                .select((sessions::id, sessions::account_id))
                .order(sessions::id)
                .limit(i64::from(limit))
                .into_boxed();
            if let Some(account) = account {
                query = query.filter(sessions::account_id.eq(DbUuid::from(account)));
            }
            if let Some(after) = after {
                query = query.filter(sessions::id.gt(DbUuid::from(after)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        Ok(rows.into_iter().map(owned).collect())
    }

    async fn find_owned(&self, ids: &[SessionId]) -> Result<Vec<OwnedSession>, StoreError> {
        let ids: Vec<DbUuid> = ids.iter().map(|id| (*id).into()).collect();
        let rows: Vec<(DbUuid, DbUuid)> = with_conn!(self, read, |c| Ok(sessions::table
            .filter(sessions::id.eq_any(ids.iter().copied()))
            .select((sessions::id, sessions::account_id))
            .load(c)
            .await?))?;
        Ok(rows.into_iter().map(owned).collect())
    }

    async fn delete_each(
        &self,
        ended: &[(OwnedSession, Act)],
    ) -> Result<Vec<OwnedSession>, StoreError> {
        let acts: BTreeMap<DbUuid, &Act> = ended
            .iter()
            .map(|(session, act)| (session.id.into(), act))
            .collect();
        let deleted = with_tx!(self, |c| {
            let these = sessions::table.filter(sessions::id.eq_any(acts.keys().copied()));
            let rows: Vec<(DbUuid, DbUuid)> = diesel::delete(these)
                .returning((sessions::id, sessions::account_id))
                .load(c)
                .await?;
            for (id, account) in &rows {
                if let Some(act) = acts.get(id) {
                    let subject = AuditSubject::Session((*id).into());
                    let (account, action) = ((*account).into(), AuditAction::SessionSignedOut);
                    record!(c, NewAuditEvent::new(act, account, action, subject));
                }
            }
            Ok(rows)
        })?;
        Ok(deleted.into_iter().map(owned).collect())
    }
}
