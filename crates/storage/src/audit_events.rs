//! Audit events: what is written down with each act.

mod bulk_insert;

use std::net::IpAddr;

use async_trait::async_trait;
use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable};
use diesel_async::SimpleAsyncConnection;
use remotegpu_accounts::{
    AuditDetails, AuditEvent, AuditFilter, AuditLog, EventActor, EventSubject, NewAuditEvent,
    actor_parts,
};
use remotegpu_primitives::{
    AccountId, AuditEventId, Origin, Page, PageRequest, StoreError, UserId, Word,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Database,
    connection::{begin_on_postgres, begin_on_sqlite, with_conn, within},
    database::Pools,
    either::{Columns, RunQuery, on_each},
    error::Failure,
    readable::list_page,
    schema::audit_events,
    types::{DbTime, DbUuid},
};

/// How many events are written in one statement.
const AT_ONCE: usize = 1000;

/// Writes an event down, as part of the transaction that is the act, and the form that
/// asked for it, where one did; unless whoever acts may not any more.
macro_rules! record {
    ($connection:expr, $event:expr) => {
        let event = $event;
        $crate::standing::ask_again($connection, &event.act).await?;
        for row in $crate::audit_events::rows(&event)? {
            diesel::insert_into($crate::schema::audit_events::table)
                .values(row)
                .execute($connection)
                .await?;
        }
        $crate::forms::claim!($connection, event.act);
    };
}

pub(crate) use record;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
pub struct EventRow {
    account_id: DbUuid,
    id: DbUuid,
    occurred_at: DbTime,
    action: String,
    actor_type: String,
    actor_id: Option<DbUuid>,
    subject_type: String,
    subject_id: DbUuid,
    ip: Option<String>,
    request_id: Option<String>,
    details: String,
}

/// What of [`AuditDetails`] is set, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct DetailsRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<String>>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    old_secret_ends_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    expires_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_user_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_limit: Option<u32>,
}

impl From<&AuditDetails> for DetailsRow {
    fn from(details: &AuditDetails) -> Self {
        let details = details.clone();
        Self {
            name: details.name,
            prefix: details.prefix,
            changed: details.changed,
            old_secret_ends_at: details.old_secret_ends_at,
            identity: details.identity,
            token_id: details.token_id,
            expires_at: details.expires_at,
            service_user_id: details.service_user_id.map(UserId::as_uuid),
            role: details.role.map(|role| role.as_str().to_owned()),
            key_limit: details.key_limit,
            namespace_limit: details.namespace_limit,
        }
    }
}

impl From<DetailsRow> for AuditDetails {
    fn from(row: DetailsRow) -> Self {
        Self {
            name: row.name,
            prefix: row.prefix,
            changed: row.changed,
            old_secret_ends_at: row.old_secret_ends_at,
            identity: row.identity,
            token_id: row.token_id,
            expires_at: row.expires_at,
            service_user_id: row.service_user_id.map(UserId::from_uuid),
            role: row.role.map(Word::from_stored),
            key_limit: row.key_limit,
            namespace_limit: row.namespace_limit,
        }
    }
}

/// A row for each account that the event concerns.
pub fn rows(event: &NewAuditEvent) -> Result<Vec<EventRow>, Failure> {
    let (actor_type, actor_id) = actor_parts(event.act.actor);
    let (subject_type, subject_id) = event.subject.parts();
    let origin = &event.act.origin;
    let details = serde_json::to_string(&DetailsRow::from(&event.details))
        .map_err(|_| Failure::Conflict("the details of an event cannot be written down"))?;
    let row = |account: &AccountId| EventRow {
        account_id: (*account).into(),
        id: event.act.id.into(),
        occurred_at: event.act.at.into(),
        action: event.action.as_str().to_owned(),
        actor_type: actor_type.to_owned(),
        actor_id: actor_id.map(DbUuid),
        subject_type: subject_type.to_owned(),
        subject_id: DbUuid(subject_id),
        ip: origin.ip.map(|ip| ip.to_string()),
        request_id: origin.request_id.clone(),
        details: details.clone(),
    };
    Ok(event.accounts.iter().map(row).collect())
}

/// What of an event cannot be read is left out of it, and the event is shown all the
/// same (contract R6).
impl From<EventRow> for AuditEvent {
    fn from(row: EventRow) -> Self {
        let ip = row.ip.map(|ip| ip.parse::<IpAddr>());
        let details: Result<DetailsRow, _> = serde_json::from_str(&row.details);
        if details.is_err() || matches!(ip, Some(Err(_))) {
            tracing::warn!(event = %row.id.0, "a part of an audit event cannot be read");
        }
        Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            occurred_at: row.occurred_at.into(),
            action: Word::from_stored(row.action),
            actor: EventActor::from_stored(row.actor_type, row.actor_id.map(|id| id.0)),
            subject: EventSubject::from_stored(row.subject_type, row.subject_id.0),
            origin: Origin {
                ip: ip.and_then(Result::ok),
                request_id: row.request_id,
                ..Origin::default()
            },
            details: details.unwrap_or_default().into(),
        }
    }
}

#[async_trait]
impl AuditLog for Database {
    async fn list(
        &self,
        account: AccountId,
        filter: AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEvent>, StoreError> {
        list_page!(self, page, audit_events, EventRow => AuditEvent, "audit events", |query| {
            let mut query = query.filter(audit_events::account_id.eq(DbUuid::from(account)));
            if let Some(action) = filter.action {
                query = query.filter(audit_events::action.eq(action.as_str()));
            }
            if let Some(since) = filter.since {
                // The identifier's part of the time ends the walk over the index; the
                // time itself is finer.
                let first = DbUuid::from(AuditEventId::first_at(since));
                query = query
                    .filter(audit_events::id.ge(first))
                    .filter(audit_events::occurred_at.ge(DbTime::from(since)));
            }
            if let Some(until) = filter.until {
                // No event before it has an identifier of a later millisecond.
                let last = AuditEventId::first_at(until + time::Duration::milliseconds(1));
                query = query
                    .filter(audit_events::id.lt(DbUuid::from(last)))
                    .filter(audit_events::occurred_at.lt(DbTime::from(until)));
            }
            if let Some(actor) = filter.actor {
                query = query.filter(audit_events::actor_id.eq(DbUuid(actor)));
            }
            if let Some(subject) = filter.subject {
                query = query.filter(audit_events::subject_id.eq(DbUuid(subject)));
            }
            query
        })
    }

    async fn append(&self, events: &[NewAuditEvent]) -> Result<(), StoreError> {
        let mut all = Vec::with_capacity(events.len());
        for event in events {
            all.extend(rows(event)?);
        }
        if all.is_empty() {
            return Ok(());
        }
        // The two databases have two ways to write many rows at once.
        within(self.deadline(), async {
            match self.pools() {
                Pools::Postgres(pool) => {
                    let mut lease = begin_on_postgres(pool).await?;
                    let connection = lease.begin();
                    for rows in all.chunks(AT_ONCE) {
                        bulk_insert::on_postgres(connection, rows).await?;
                    }
                    connection.batch_execute("COMMIT").await?;
                    lease.finish(&Ok(()));
                    Ok(())
                }
                Pools::Sqlite { write, .. } => {
                    let mut lease = begin_on_sqlite(write).await?;
                    let connection = lease.begin();
                    connection
                        .spawn_blocking(move |connection| bulk_insert::on_sqlite(connection, all))
                        .await?;
                    connection.batch_execute("COMMIT").await?;
                    lease.finish(&Ok(()));
                    Ok(())
                }
            }
        })
        .await?;
        Ok(())
    }

    async fn delete_before(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        let before = audit_events::occurred_at.lt(DbTime::from(before));
        let last: Option<DbTime> = with_conn!(self, read, |c| {
            let nth = audit_events::table
                .filter(before)
                .order(audit_events::occurred_at)
                .offset(i64::from(limit.saturating_sub(1)))
                .limit(1)
                .select(audit_events::occurred_at);
            Ok(nth.first(c).await.optional()?)
        })?;
        let deleted = with_conn!(self, write, |c| on_each!(c, |c| {
            let mut expired = diesel::delete(audit_events::table.filter(before)).into_boxed();
            if let Some(last) = last {
                // Those of the same moment go with it, so that every batch gets on.
                expired = expired.filter(audit_events::occurred_at.le(last));
            }
            Ok(diesel_async::RunQueryDsl::execute(expired, c).await?)
        }))?;
        Ok(deleted as u64)
    }
}
