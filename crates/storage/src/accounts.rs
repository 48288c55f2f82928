//! Accounts, as the installation's operator sees them.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable,
};
use remotegpu_accounts::{
    Account, AccountLimits, AccountName, AccountRepository, AuditAction, AuditDetails,
    AuditSubject, LimitChange, LimitChanges, NewAuditEvent,
};
use remotegpu_primitives::{AccountId, Act, Page, PageRequest, StoreError};

use crate::{
    Database,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    identities::end_identities,
    readable::list_page,
    schema::{accounts, credential_identities, sessions},
    types::{DbTime, DbUuid, db_time, domain_time},
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts)]
pub struct AccountRow {
    id: DbUuid,
    name: String,
    key_limit: Option<i64>,
    namespace_limit: Option<i64>,
    suspended_at: Option<DbTime>,
    created_at: DbTime,
}

impl From<&Account> for AccountRow {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.into(),
            name: account.name.as_str().to_owned(),
            key_limit: account.limits.keys.map(i64::from),
            namespace_limit: account.limits.namespaces.map(i64::from),
            suspended_at: db_time(account.suspended_at),
            created_at: account.created_at.into(),
        }
    }
}

impl TryFrom<AccountRow> for Account {
    type Error = Failure;

    fn try_from(row: AccountRow) -> Result<Self, Failure> {
        Ok(Self {
            id: row.id.into(),
            name: AccountName::from_stored(row.name),
            limits: AccountLimits {
                keys: row.key_limit.map(limit).transpose()?,
                namespaces: row.namespace_limit.map(limit).transpose()?,
            },
            suspended_at: domain_time(row.suspended_at),
            created_at: row.created_at.into(),
        })
    }
}

fn limit(stored: i64) -> Result<u32, Failure> {
    u32::try_from(stored).map_err(|_| Failure::Corrupt(format!("{stored} is no limit")))
}

/// Holds the account's row until the transaction ends. Everybody who counts what
/// an account has, or ends cluster identities of it, does this first: then what
/// was read stays true, and no two of them wait for each other in a circle.
/// Answers whether there is such an account.
macro_rules! hold_account {
    ($connection:expr, $id:expr) => {
        diesel::update(
            $crate::schema::accounts::table
                .filter($crate::schema::accounts::id.eq($crate::types::DbUuid::from($id))),
        )
        // No key column: rows that refer to the account can still be added.
        .set($crate::schema::accounts::name.eq($crate::schema::accounts::name))
        .execute($connection)
        .await?
            == 1
    };
}

pub(crate) use hold_account;

#[async_trait]
impl AccountRepository for Database {
    async fn find(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(accounts::table
            .filter(accounts::id.eq(DbUuid::from(id)))
            .select(AccountRow::columns())
            .first::<AccountRow>(c)
            .await
            .optional()?))?;
        read(row)
    }

    async fn list(&self, page: PageRequest) -> Result<Page<Account>, StoreError> {
        list_page!(self, page, accounts, AccountRow => Account, "accounts", |query| query)
    }

    async fn insert(&self, account: &Account, act: &Act) -> Result<(), StoreError> {
        with_tx!(self, |c| {
            diesel::insert_into(accounts::table)
                .values(AccountRow::from(account))
                .execute(c)
                .await?;
            record!(c, event(act, account.id, AuditAction::AccountCreated));
            Ok(())
        })?;
        Ok(())
    }

    async fn suspend(&self, id: AccountId, act: &Act) -> Result<Option<Account>, StoreError> {
        let now = DbTime::from(act.at);
        let row = with_tx!(self, |c| {
            if !hold_account!(c, id) {
                return Ok(None);
            }
            let account = accounts::table.filter(accounts::id.eq(DbUuid::from(id)));
            let changed = diesel::update(account.filter(accounts::suspended_at.is_null()))
                .set(accounts::suspended_at.eq(now))
                .execute(c)
                .await?;
            if changed == 1 {
                record!(c, event(act, id, AuditAction::AccountSuspended));
            }
            end_identities!(
                c,
                credential_identities::account_id.eq(DbUuid::from(id)),
                now
            );
            diesel::delete(sessions::table.filter(sessions::account_id.eq(DbUuid::from(id))))
                .execute(c)
                .await?;
            let row = account
                .select(AccountRow::columns())
                .first::<AccountRow>(c)
                .await?;
            Ok(Some(row))
        })?;
        read(row)
    }

    async fn resume(&self, id: AccountId, act: &Act) -> Result<Option<Account>, StoreError> {
        let account = || accounts::table.filter(accounts::id.eq(DbUuid::from(id)));
        let row = with_tx!(self, |c| {
            let changed = diesel::update(account().filter(accounts::suspended_at.is_not_null()))
                .set(accounts::suspended_at.eq(None::<DbTime>))
                .execute(c)
                .await?;
            if changed == 1 {
                record!(c, event(act, id, AuditAction::AccountResumed));
            }
            let row = account()
                .select(AccountRow::columns())
                .first::<AccountRow>(c)
                .await;
            Ok(row.optional()?)
        })?;
        read(row)
    }

    async fn set_limits(
        &self,
        id: AccountId,
        changes: LimitChanges,
        act: &Act,
    ) -> Result<Option<Account>, StoreError> {
        let LimitChanges { keys, namespaces } = changes;
        if !keys.is_given() && !namespaces.is_given() {
            return AccountRepository::find(self, id).await;
        }
        let given = [("key_limit", keys), ("namespace_limit", namespaces)];
        let given = given.into_iter().filter(|(_, change)| change.is_given());
        let details = AuditDetails {
            changed: Some(given.map(|(name, _)| name.to_owned()).collect()),
            key_limit: keys.own(),
            namespace_limit: namespaces.own(),
            ..AuditDetails::default()
        };
        let column = |change: LimitChange| change.own().map(i64::from);
        let row = with_tx!(self, |c| {
            let row = diesel::update(accounts::table.filter(accounts::id.eq(DbUuid::from(id))))
                .set((
                    keys.is_given()
                        .then(|| accounts::key_limit.eq(column(keys))),
                    namespaces
                        .is_given()
                        .then(|| accounts::namespace_limit.eq(column(namespaces))),
                ))
                .returning(AccountRow::columns())
                .get_result::<AccountRow>(c)
                .await
                .optional()?;
            if row.is_some() {
                let set = event(act, id, AuditAction::AccountLimitsSet);
                record!(c, set.with(details.clone()));
            }
            Ok(row)
        })?;
        read(row)
    }
}

fn event(act: &Act, account: AccountId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::Account(account))
}

fn read(row: Option<AccountRow>) -> Result<Option<Account>, StoreError> {
    Ok(row.map(Account::try_from).transpose()?)
}
