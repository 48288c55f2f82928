//! Namespaces, and the work on them that is due.

pub(crate) mod rows;

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl};
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent};
use remotegpu_namespaces::{
    ClusterName, DueWork, InsertNamespace, Namespace, NamespaceName, NamespaceRepository,
    NamespaceStatus, NewNamespace, RenameNamespace, Tried,
};
use remotegpu_primitives::{AccountId, Act, NamespaceId, Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery, on_each},
    error::Failure,
    forms::claim,
    identities::end_identities,
    readable::list_page,
    schema::{accounts, credential_identities, namespaces},
    types::{DbTime, DbUuid},
};

use rows::{NamespaceRow, read};

/// How many namespaces are asked for at once.
const AT_ONCE: usize = 200;

/// The words of the statuses from which a namespace may take a step.
fn origins(to: NamespaceStatus) -> Vec<&'static str> {
    to.origins().map(NamespaceStatus::as_str).collect()
}

/// The words of all statuses: what bears another is a newer version's to work on
/// (contract R6).
pub(crate) fn known_words() -> [&'static str; NamespaceStatus::ALL.len()] {
    NamespaceStatus::ALL.map(NamespaceStatus::as_str)
}

/// The account's namespace, unless the cluster has let go of it.
macro_rules! namespace {
    ($account:expr, $id:expr) => {
        namespaces::table
            .filter(namespaces::id.eq(DbUuid::from($id)))
            .filter(namespaces::account_id.eq(DbUuid::from($account)))
            .filter(namespaces::removed_at.is_null())
    };
}

#[async_trait]
impl NamespaceRepository for Database {
    async fn find(
        &self,
        account: AccountId,
        id: NamespaceId,
    ) -> Result<Option<Namespace>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(namespace!(account, id)
            .select(NamespaceRow::columns())
            .first::<NamespaceRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(Namespace::from))
    }

    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<Namespace>, StoreError> {
        list_page!(self, page, namespaces, NamespaceRow => Namespace, "namespaces", |query| {
            query
                .filter(namespaces::account_id.eq(DbUuid::from(account)))
                .filter(namespaces::removed_at.is_null())
        })
    }

    async fn list_in(
        &self,
        cluster: &ClusterName,
        after: Option<NamespaceId>,
        limit: u32,
    ) -> Result<Vec<Namespace>, StoreError> {
        let rows = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = namespaces::table
                .filter(namespaces::cluster.eq(cluster.as_str()))
                .filter(namespaces::removed_at.is_null())
                .select(NamespaceRow::columns())
                .order(namespaces::id)
                .limit(i64::from(limit))
                .into_boxed();
            if let Some(after) = after {
                query = query.filter(namespaces::id.gt(DbUuid::from(after)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        Ok(read(rows))
    }

    async fn find_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let rows = with_conn!(self, read, |c| Ok(namespaces::table
                .filter(namespaces::id.eq_any(ids.iter().map(|id| DbUuid::from(*id))))
                .filter(namespaces::removed_at.is_null())
                .select(NamespaceRow::columns())
                .load::<NamespaceRow>(c)
                .await?))?;
            found.extend(read(rows));
        }
        Ok(found)
    }

    async fn removed_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let rows = with_conn!(self, read, |c| Ok(namespaces::table
                .filter(namespaces::id.eq_any(ids.iter().map(|id| DbUuid::from(*id))))
                .filter(namespaces::removed_at.is_not_null())
                .select(NamespaceRow::columns())
                .load::<NamespaceRow>(c)
                .await?))?;
            found.extend(read(rows));
        }
        Ok(found)
    }

    async fn insert(
        &self,
        new: &NewNamespace,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertNamespace, StoreError> {
        let account = DbUuid::from(new.account_id);
        let created_at = DbTime::from(new.created_at);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, new.account_id) {
                return Err(Failure::Conflict("there is no such account"));
            }
            let names: Vec<String> = namespaces::table
                .filter(namespaces::account_id.eq(account))
                .filter(namespaces::removed_at.is_null())
                .select(namespaces::name)
                .load(c)
                .await?;
            if names.iter().any(|name| name == new.name.as_str()) {
                return Ok(InsertNamespace::NameTaken);
            }
            let own_limit: Option<i64> = accounts::table
                .filter(accounts::id.eq(account))
                .select(accounts::namespace_limit)
                .first(c)
                .await?;
            let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
            if count >= own_limit.unwrap_or(i64::from(default_limit)) {
                return Ok(InsertNamespace::LimitReached);
            }
            let row = diesel::insert_into(namespaces::table)
                .values((
                    namespaces::id.eq(DbUuid::from(new.id)),
                    namespaces::account_id.eq(account),
                    namespaces::name.eq(new.name.as_str()),
                    namespaces::kubernetes_namespace.eq(new.kubernetes_namespace.as_str()),
                    namespaces::cluster.eq(new.cluster.as_str()),
                    namespaces::status.eq(NamespaceStatus::Provisioning.as_str()),
                    namespaces::created_at.eq(created_at),
                    namespaces::updated_at.eq(created_at),
                    namespaces::next_attempt_at.eq(created_at),
                ))
                .returning(NamespaceRow::columns())
                .get_result::<NamespaceRow>(c)
                .await?;
            let created = event(act, new.account_id, new.id, AuditAction::NamespaceCreated);
            record!(c, created.with(named(&new.name)));
            Ok(InsertNamespace::Inserted(row.into()))
        })?;
        Ok(inserted)
    }

    async fn rename(
        &self,
        account: AccountId,
        id: NamespaceId,
        name: &NamespaceName,
        act: &Act,
    ) -> Result<RenameNamespace, StoreError> {
        let renamed = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(RenameNamespace::NotFound);
            }
            let row = namespace!(account, id)
                .select(NamespaceRow::columns())
                .first::<NamespaceRow>(c)
                .await
                .optional()?;
            let Some(row) = row else {
                return Ok(RenameNamespace::NotFound);
            };
            let namespace = Namespace::from(row);
            match namespace.status.known() {
                Some(NamespaceStatus::Active) => {}
                Some(NamespaceStatus::Deleting) => return Ok(RenameNamespace::NotFound),
                // Nor where a newer version has the word (contract R6).
                Some(NamespaceStatus::Provisioning | NamespaceStatus::Failed) | None => {
                    return Ok(RenameNamespace::NotReady);
                }
            }
            if namespace.name == *name {
                claim!(c, act);
                return Ok(RenameNamespace::Renamed(namespace));
            }
            let taken: i64 = namespaces::table
                .filter(namespaces::account_id.eq(DbUuid::from(account)))
                .filter(namespaces::name.eq(name.as_str()))
                .filter(namespaces::removed_at.is_null())
                .count()
                .get_result(c)
                .await?;
            if taken > 0 {
                return Ok(RenameNamespace::NameTaken);
            }
            let row = diesel::update(namespace!(account, id))
                .set((
                    namespaces::name.eq(name.as_str()),
                    namespaces::updated_at.eq(DbTime::from(act.at)),
                ))
                .returning(NamespaceRow::columns())
                .get_result::<NamespaceRow>(c)
                .await?;
            let renamed = event(act, account, id, AuditAction::NamespaceRenamed);
            record!(c, renamed.with(named(name)));
            Ok(RenameNamespace::Renamed(row.into()))
        })?;
        Ok(renamed)
    }

    async fn mark_deleting(
        &self,
        account: AccountId,
        id: NamespaceId,
        act: &Act,
    ) -> Result<Option<Namespace>, StoreError> {
        let now = DbTime::from(act.at);
        let deleting = NamespaceStatus::Deleting.as_str();
        let row = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(None);
            }
            // Only the first time: a repetition takes the work out of nobody's
            // hands.
            let changed =
                diesel::update(namespace!(account, id).filter(namespaces::status.ne(deleting)))
                    .set((
                        namespaces::status.eq(deleting),
                        namespaces::message.eq(None::<String>),
                        namespaces::updated_at.eq(now),
                        namespaces::next_attempt_at.eq(now),
                    ))
                    .execute(c)
                    .await?;
            if changed == 1 {
                let here = credential_identities::namespace_id.eq(DbUuid::from(id));
                end_identities!(c, here, now);
                record!(c, event(act, account, id, AuditAction::NamespaceDeleted));
            }
            let row = namespace!(account, id)
                .select(NamespaceRow::columns())
                .first::<NamespaceRow>(c)
                .await
                .optional()?;
            if changed == 0 && row.is_some() {
                claim!(c, act);
            }
            Ok(row)
        })?;
        Ok(row.map(Namespace::from))
    }

    async fn due_work(&self, now: OffsetDateTime) -> Result<Vec<DueWork>, StoreError> {
        self.namespaces_that_are_due(now).await
    }

    async fn claim(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<Namespace>, StoreError> {
        self.claim_due_namespaces(cluster, tried, limit, now, until)
            .await
    }

    async fn mark_active(&self, id: NamespaceId, now: OffsetDateTime) -> Result<bool, StoreError> {
        let changed = with_conn!(self, write, |c| Ok(diesel::update(namespaces::table)
            .filter(namespaces::id.eq(DbUuid::from(id)))
            .filter(namespaces::status.eq_any(origins(NamespaceStatus::Active)))
            .set((
                namespaces::status.eq(NamespaceStatus::Active.as_str()),
                namespaces::message.eq(None::<String>),
                namespaces::updated_at.eq(DbTime::from(now)),
                namespaces::next_attempt_at.eq(None::<DbTime>),
            ))
            .execute(c)
            .await?))?;
        Ok(changed == 1)
    }

    async fn mark_failed(
        &self,
        id: NamespaceId,
        message: &str,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let failed = NamespaceStatus::Failed.as_str();
        let id = DbUuid::from(id);
        with_tx!(self, |c| {
            let other_message = namespaces::message
                .is_null()
                .or(namespaces::message.ne(message));
            // A failure like the last one is no change.
            diesel::update(namespaces::table.filter(namespaces::id.eq(id)))
                .filter(namespaces::status.eq_any(origins(NamespaceStatus::Failed)))
                .filter(namespaces::status.ne(failed).or(other_message))
                .set((
                    namespaces::status.eq(failed),
                    namespaces::message.eq(message),
                    namespaces::updated_at.eq(DbTime::from(now)),
                ))
                .execute(c)
                .await?;
            diesel::update(namespaces::table.filter(namespaces::id.eq(id)))
                .filter(namespaces::status.eq(failed))
                .set(namespaces::next_attempt_at.eq(DbTime::from(retry_at)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn postpone(
        &self,
        id: NamespaceId,
        message: Option<&str>,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let id = DbUuid::from(id);
        with_tx!(self, |c| {
            // Where there is no work any more, none is made.
            let told: Option<Option<String>> = diesel::update(namespaces::table)
                .filter(namespaces::id.eq(id))
                .filter(namespaces::next_attempt_at.is_not_null())
                .set(namespaces::next_attempt_at.eq(DbTime::from(retry_at)))
                .returning(namespaces::message)
                .get_result(c)
                .await
                .optional()?;
            // The time of the last change stays while nothing changes: how long
            // the work has waited is reckoned from it.
            if told.is_some_and(|told| told.as_deref() != message) {
                diesel::update(namespaces::table.filter(namespaces::id.eq(id)))
                    .set((
                        namespaces::message.eq(message),
                        namespaces::updated_at.eq(DbTime::from(now)),
                    ))
                    .execute(c)
                    .await?;
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn remove(&self, id: NamespaceId, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = DbTime::from(now);
        with_tx!(self, |c| {
            let removed = diesel::update(namespaces::table)
                .filter(namespaces::id.eq(DbUuid::from(id)))
                .filter(namespaces::status.eq(NamespaceStatus::Deleting.as_str()))
                .filter(namespaces::removed_at.is_null())
                .set((
                    namespaces::removed_at.eq(now),
                    namespaces::updated_at.eq(now),
                    namespaces::next_attempt_at.eq(None::<DbTime>),
                ))
                .execute(c)
                .await?;
            if removed > 0 {
                let here = credential_identities::namespace_id.eq(DbUuid::from(id));
                diesel::delete(credential_identities::table)
                    .filter(here)
                    .filter(credential_identities::powerless_at.is_not_null())
                    .execute(c)
                    .await?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn event(act: &Act, account: AccountId, id: NamespaceId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::Namespace(id))
}

fn named(name: &NamespaceName) -> AuditDetails {
    AuditDetails {
        name: Some(name.as_str().to_owned()),
        ..AuditDetails::default()
    }
}
