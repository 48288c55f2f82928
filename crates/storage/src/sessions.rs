//! Sessions: who is signed in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl,
    Queryable, Selectable,
};
use remotegpu_accounts::{
    AuditAction, AuditDetails, AuditSubject, HashedSession, InsertSession, NewAuditEvent,
    NewSession, OpenedSession, Session, SessionContext, SessionRepository,
};
use remotegpu_primitives::{AccountId, Act, SessionId, StoreError, UserId, Word};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::{AccountRow, hold_account},
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery},
    forms::claim,
    schema::{accounts, memberships, sessions, users},
    types::{DbTime, DbUuid},
    users::{UserRow, hold_password},
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    id: DbUuid,
    user_id: DbUuid,
    account_id: DbUuid,
    created_at: DbTime,
    last_seen_at: DbTime,
}

impl From<&Session> for SessionRow {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.into(),
            user_id: session.user_id.into(),
            account_id: session.account_id.into(),
            created_at: session.created_at.into(),
            last_seen_at: session.last_seen_at.into(),
        }
    }
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id.into(),
            user_id: row.user_id.into(),
            account_id: row.account_id.into(),
            created_at: row.created_at.into(),
            last_seen_at: row.last_seen_at.into(),
        }
    }
}

/// Whether a session of this user may act for this account. Holds the account's
/// row, so that a suspension finds the session or the session the suspension.
macro_rules! may_act {
    ($connection:expr, $user:expr, $account:expr) => {
        hold_account!($connection, $account) && {
            let member: Option<DbUuid> = memberships::table
                .inner_join(accounts::table.on(accounts::id.eq(memberships::account_id)))
                .filter(memberships::account_id.eq(DbUuid::from($account)))
                .filter(memberships::user_id.eq($user))
                .filter(accounts::suspended_at.is_null())
                .select(memberships::user_id)
                .first($connection)
                .await
                .optional()?;
            member.is_some()
        }
    };
}

#[async_trait]
impl SessionRepository for Database {
    async fn insert(&self, new: &NewSession, act: &Act) -> Result<InsertSession, StoreError> {
        let session = &new.session;
        let inserted = with_tx!(self, |c| {
            if !may_act!(c, DbUuid::from(session.user_id), session.account_id) {
                return Ok(InsertSession::AccountSuspended);
            }
            if !hold_password!(c, session.user_id, new.verified) {
                return Ok(InsertSession::PasswordChanged);
            }
            diesel::insert_into(sessions::table)
                .values((
                    SessionRow::from(session),
                    sessions::hash.eq(new.hash.0.as_slice()),
                    sessions::ip.eq(act.origin.ip.map(|ip| ip.to_string())),
                    sessions::user_agent.eq(act.origin.user_agent.clone()),
                ))
                .execute(c)
                .await?;
            let accounts = vec![session.account_id];
            record!(
                c,
                event(act, accounts, session.id, AuditAction::SessionSignedIn)
            );
            Ok(InsertSession::Inserted)
        })?;
        Ok(inserted)
    }

    async fn find_by_hash(
        &self,
        hash: &HashedSession,
    ) -> Result<Option<SessionContext>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(sessions::table
            .inner_join(users::table.on(users::id.eq(sessions::user_id)))
            .inner_join(accounts::table.on(accounts::id.eq(sessions::account_id)))
            .inner_join(
                memberships::table.on(memberships::account_id
                    .eq(sessions::account_id)
                    .and(memberships::user_id.eq(sessions::user_id))),
            )
            .filter(sessions::hash.eq(hash.0.as_slice()))
            .filter(accounts::suspended_at.is_null())
            .select((
                SessionRow::columns(),
                UserRow::columns(),
                AccountRow::columns(),
                memberships::role,
            ))
            .first::<(SessionRow, UserRow, AccountRow, String)>(c)
            .await
            .optional()?))?;
        let Some((session, user, account, word)) = row else {
            return Ok(None);
        };
        Ok(Some(SessionContext {
            session: session.into(),
            user: user.into(),
            account: account.try_into()?,
            role: Word::from_stored(word),
        }))
    }

    async fn touch(&self, id: SessionId, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = DbTime::from(now);
        with_conn!(self, write, |c| {
            diesel::update(sessions::table.filter(sessions::id.eq(DbUuid::from(id))))
                .filter(sessions::last_seen_at.lt(now))
                .set(sessions::last_seen_at.eq(now))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn switch_account(
        &self,
        id: SessionId,
        account: AccountId,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let session = DbUuid::from(id);
        let switched = with_tx!(self, |c| {
            let found: Option<(DbUuid, DbUuid)> = sessions::table
                .filter(sessions::id.eq(session))
                .select((sessions::user_id, sessions::account_id))
                .first(c)
                .await
                .optional()?;
            let Some((user, left)) = found else {
                return Ok(false);
            };
            if !may_act!(c, user, account) {
                return Ok(false);
            }
            let changed = diesel::update(sessions::table.filter(sessions::id.eq(session)))
                .set(sessions::account_id.eq(DbUuid::from(account)))
                .execute(c)
                .await?;
            diesel::update(users::table.filter(users::id.eq(user)))
                .set(users::last_account_id.eq(DbUuid::from(account)))
                .execute(c)
                .await?;
            let left = AccountId::from(left);
            if changed == 1 && left != account {
                let both = vec![left, account];
                record!(c, event(act, both, id, AuditAction::SessionSwitched));
            }
            Ok(changed == 1)
        })?;
        Ok(switched)
    }

    async fn delete(&self, id: SessionId, act: &Act) -> Result<(), StoreError> {
        with_tx!(self, |c| {
            let session = sessions::table.filter(sessions::id.eq(DbUuid::from(id)));
            let ended: Option<DbUuid> = diesel::delete(session)
                .returning(sessions::account_id)
                .get_result(c)
                .await
                .optional()?;
            if let Some(account) = ended {
                let accounts = vec![account.into()];
                record!(c, event(act, accounts, id, AuditAction::SessionSignedOut));
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn list_of(&self, user: UserId) -> Result<Vec<OpenedSession>, StoreError> {
        let rows: Vec<(SessionRow, Option<String>, Option<String>)> =
            with_conn!(self, read, |c| Ok(sessions::table
                .filter(sessions::user_id.eq(DbUuid::from(user)))
                .order(sessions::id.desc())
                .limit(OpenedSession::MOST.into())
                .select((SessionRow::columns(), sessions::ip, sessions::user_agent))
                .load(c)
                .await?))?;
        let opened =
            |(row, ip, user_agent): (SessionRow, Option<String>, Option<String>)| OpenedSession {
                session: row.into(),
                ip: ip.and_then(|ip| ip.parse().ok()),
                user_agent,
            };
        Ok(rows.into_iter().map(opened).collect())
    }

    async fn end_of(&self, user: UserId, id: SessionId, act: &Act) -> Result<bool, StoreError> {
        let ended = with_tx!(self, |c| {
            let session = sessions::table
                .filter(sessions::id.eq(DbUuid::from(id)))
                .filter(sessions::user_id.eq(DbUuid::from(user)));
            let ended: Option<DbUuid> = diesel::delete(session)
                .returning(sessions::account_id)
                .get_result(c)
                .await
                .optional()?;
            if let Some(account) = ended {
                let accounts = vec![account.into()];
                record!(c, event(act, accounts, id, AuditAction::SessionSignedOut));
            } else {
                claim!(c, act);
            }
            Ok(ended.is_some())
        })?;
        Ok(ended)
    }

    async fn end_others_of(
        &self,
        user: UserId,
        keep: SessionId,
        act: &Act,
    ) -> Result<u64, StoreError> {
        let ended = with_tx!(self, |c| {
            let others = sessions::table
                .filter(sessions::user_id.eq(DbUuid::from(user)))
                .filter(sessions::id.ne(DbUuid::from(keep)));
            let rows: Vec<DbUuid> = diesel::delete(others)
                .returning(sessions::account_id)
                .load(c)
                .await?;
            if rows.is_empty() {
                claim!(c, act);
            } else {
                let accounts: BTreeSet<DbUuid> = rows.iter().copied().collect();
                let accounts = accounts.into_iter().map(AccountId::from).collect();
                let mut ended = event(act, accounts, keep, AuditAction::SessionSignedOut);
                ended.subject = AuditSubject::User(user);
                record!(c, ended);
            }
            Ok(rows.len())
        })?;
        Ok(ended as u64)
    }

    async fn delete_ended(
        &self,
        created: OffsetDateTime,
        seen: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let ended = sessions::created_at
            .lt(DbTime::from(created))
            .or(sessions::last_seen_at.lt(DbTime::from(seen)));
        let deleted = with_conn!(self, write, |c| Ok(diesel::delete(
            sessions::table.filter(ended)
        )
        .execute(c)
        .await?))?;
        Ok(deleted as u64)
    }
}

fn event(
    act: &Act,
    accounts: Vec<AccountId>,
    session: SessionId,
    action: AuditAction,
) -> NewAuditEvent {
    NewAuditEvent {
        act: act.clone(),
        accounts,
        action,
        subject: AuditSubject::Session(session),
        details: AuditDetails::default(),
    }
}
