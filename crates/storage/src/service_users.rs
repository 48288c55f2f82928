//! Machines that manage, and their tokens (contract T8).

mod rows;

use async_trait::async_trait;
use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl};
use remotegpu_accounts::{
    AuditAction, AuditDetails, ChangeMember, HashedServiceUserToken, InsertLimited, KeysOfMaker,
    MadeBefore, NewServiceUser, NewServiceUserToken, Role, ServiceUser, ServiceUserChange,
    ServiceUserContext, ServiceUserRepository, ServiceUserToken,
};
use remotegpu_primitives::{
    AccountId, Act, Page, PageRequest, ServiceUserTokenId, StoreError, UserId,
};
use rows::{
    ServiceUserRow, TokenRow, WithRole, event, service_user, token_event, user_of, what_changed,
    what_was_issued,
};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::{AccountRow, hold_account},
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery, on_each},
    members::{acts_as_admin, made::end_made_by},
    readable::list_page,
    schema::{accounts, api_keys, memberships, service_user_tokens, service_users, users},
    types::{DbTime, DbUuid},
    users::UserRow,
};

/// The account's service users with their roles; a filter is to follow.
macro_rules! service_users_of {
    ($account:expr) => {
        service_users::table
            .inner_join(
                memberships::table.on(memberships::account_id
                    .eq(service_users::account_id)
                    .and(memberships::user_id.eq(service_users::id))),
            )
            .filter(service_users::account_id.eq(DbUuid::from($account)))
            .select((ServiceUserRow::columns(), memberships::role))
    };
}

/// The account's service user with this identifier, or what to answer where there is none, or
/// where whoever asks is no admin any more. Holds the account's row.
macro_rules! held_service_user {
    ($connection:expr, $account:expr, $id:expr, $act:expr) => {{
        if !hold_account!($connection, $account) {
            return Ok(ChangeMember::NotFound);
        }
        let found = service_users_of!($account)
            .filter(service_users::id.eq(DbUuid::from($id)))
            .first::<WithRole>($connection)
            .await
            .optional()?;
        let Some(found) = found.map(service_user) else {
            return Ok(ChangeMember::NotFound);
        };
        if !acts_as_admin!($connection, $account, $act) {
            return Ok(ChangeMember::NotAllowed);
        }
        found
    }};
}

/// The tokens of the account's service user with this identifier.
macro_rules! is_token_of {
    ($account:expr, $id:expr) => {
        service_user_tokens::service_user_id.eq_any(
            service_users::table
                .filter(service_users::id.eq(DbUuid::from($id)))
                .filter(service_users::account_id.eq(DbUuid::from($account)))
                .select(service_users::id),
        )
    };
}

#[async_trait]
impl ServiceUserRepository for Database {
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ServiceUser>, StoreError> {
        let rows: Vec<WithRole> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = service_users_of!(account)
                .order(service_users::id.desc())
                .limit(i64::from(page.limit()) + 1)
                .into_boxed();
            if let Some(after) = page.after() {
                query = query.filter(service_users::id.lt(DbUuid(after.0)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        let found = rows.into_iter().map(service_user).collect();
        let id_of = |found: &ServiceUser| found.id.as_uuid();
        Ok(Page::from_overfull(found, page.limit(), id_of))
    }

    async fn find(
        &self,
        account: AccountId,
        id: UserId,
    ) -> Result<Option<ServiceUser>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(service_users_of!(account)
            .filter(service_users::id.eq(DbUuid::from(id)))
            .first::<WithRole>(c)
            .await
            .optional()?))?;
        Ok(row.map(service_user))
    }

    async fn insert(
        &self,
        new: &NewServiceUser,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUser>, StoreError> {
        let account = DbUuid::from(new.account_id);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, new.account_id) {
                return Ok(InsertLimited::NotFound);
            }
            if !acts_as_admin!(c, new.account_id, act) {
                return Ok(InsertLimited::NotAllowed);
            }
            let there_are: i64 = service_users::table
                .filter(service_users::account_id.eq(account))
                .count()
                .get_result(c)
                .await?;
            if there_are >= i64::from(limit) {
                return Ok(InsertLimited::LimitReached);
            }
            diesel::insert_into(users::table)
                .values(UserRow::from(&user_of(new)))
                .execute(c)
                .await?;
            diesel::insert_into(memberships::table)
                .values((
                    memberships::account_id.eq(account),
                    memberships::user_id.eq(DbUuid::from(new.id)),
                    memberships::role.eq(new.role.as_str()),
                    memberships::created_at.eq(DbTime::from(new.created_at)),
                ))
                .execute(c)
                .await?;
            diesel::insert_into(service_users::table)
                .values((
                    ServiceUserRow::from(new),
                    service_users::account_id.eq(account),
                ))
                .execute(c)
                .await?;
            let details = AuditDetails {
                name: Some(new.name.as_str().to_owned()),
                role: Some(new.role.into()),
                ..AuditDetails::default()
            };
            let created = event(act, new.account_id, new.id, AuditAction::ServiceUserCreated);
            record!(c, created.with(details));
            let stored = (ServiceUserRow::from(new), new.role.as_str().to_owned());
            Ok(InsertLimited::Inserted(service_user(stored)))
        })?;
        Ok(inserted)
    }

    async fn update(
        &self,
        account: AccountId,
        id: UserId,
        change: &ServiceUserChange,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<ServiceUser>, StoreError> {
        let changed = with_tx!(self, |c| {
            let mut found = held_service_user!(c, account, id, act);
            if let Some(name) = &change.name {
                diesel::update(service_users::table)
                    .filter(service_users::id.eq(DbUuid::from(id)))
                    .set(service_users::name.eq(name.as_str()))
                    .execute(c)
                    .await?;
                found.name = name.clone();
            }
            let mut before = MadeBefore::default();
            if let Some(role) = change.role {
                diesel::update(memberships::table)
                    .filter(memberships::account_id.eq(DbUuid::from(account)))
                    .filter(memberships::user_id.eq(DbUuid::from(id)))
                    .set(memberships::role.eq(role.as_str()))
                    .execute(c)
                    .await?;
                found.role = role.into();
                if !role.allows(Role::Write) {
                    before = end_made_by!(c, account, id, keys, act);
                }
            }
            let updated = event(act, account, id, AuditAction::ServiceUserUpdated);
            record!(c, updated.with(what_changed(change)));
            Ok(ChangeMember::Changed(found, before))
        })?;
        Ok(changed)
    }

    async fn delete(
        &self,
        account: AccountId,
        id: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError> {
        let user = DbUuid::from(id);
        let deleted = with_tx!(self, |c| {
            let found = held_service_user!(c, account, id, act);
            let before = end_made_by!(c, account, id, keys, act);
            diesel::delete(service_user_tokens::table)
                .filter(service_user_tokens::service_user_id.eq(user))
                .execute(c)
                .await?;
            diesel::delete(service_users::table.filter(service_users::id.eq(user)))
                .execute(c)
                .await?;
            diesel::delete(memberships::table.filter(memberships::user_id.eq(user)))
                .execute(c)
                .await?;
            // What it made may name it for as long as that is in a list.
            let made: i64 = api_keys::table
                .filter(api_keys::created_by.eq(user))
                .count()
                .get_result(c)
                .await?;
            if made == 0 {
                diesel::delete(users::table.filter(users::id.eq(user)))
                    .execute(c)
                    .await?;
            }
            let details = AuditDetails {
                name: Some(found.name.as_str().to_owned()),
                ..AuditDetails::default()
            };
            let deleted = event(act, account, id, AuditAction::ServiceUserDeleted);
            record!(c, deleted.with(details));
            Ok(ChangeMember::Changed((), before))
        })?;
        Ok(deleted)
    }

    async fn list_tokens(
        &self,
        account: AccountId,
        id: UserId,
        page: PageRequest,
    ) -> Result<Page<ServiceUserToken>, StoreError> {
        list_page!(
            self,
            page,
            service_user_tokens,
            TokenRow => ServiceUserToken,
            "tokens of service users",
            |query| query.filter(is_token_of!(account, id))
        )
    }

    async fn find_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
    ) -> Result<Option<ServiceUserToken>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(service_user_tokens::table
            .filter(service_user_tokens::id.eq(DbUuid::from(token)))
            .filter(is_token_of!(account, id))
            .select(TokenRow::columns())
            .first::<TokenRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(ServiceUserToken::from))
    }

    async fn insert_token(
        &self,
        account: AccountId,
        id: UserId,
        new: &NewServiceUserToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertLimited<ServiceUserToken>, StoreError> {
        let token = &new.token;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(InsertLimited::NotFound);
            }
            let found = service_users_of!(account)
                .filter(service_users::id.eq(DbUuid::from(id)))
                .first::<WithRole>(c)
                .await
                .optional()?;
            if found.is_none() {
                return Ok(InsertLimited::NotFound);
            }
            if !acts_as_admin!(c, account, act) {
                return Ok(InsertLimited::NotAllowed);
            }
            let there_are: Vec<(DbUuid, DbTime)> = service_user_tokens::table
                .filter(service_user_tokens::service_user_id.eq(DbUuid::from(id)))
                .order(service_user_tokens::expires_at)
                .select((service_user_tokens::id, service_user_tokens::expires_at))
                .load(c)
                .await?;
            let surplus = (there_are.len() + 1).saturating_sub(limit);
            let over: Vec<DbUuid> = there_are
                .into_iter()
                .filter(|(_, expires_at)| *expires_at <= DbTime::from(act.at))
                .map(|(id, _)| id)
                .take(surplus)
                .collect();
            if over.len() < surplus {
                return Ok(InsertLimited::LimitReached);
            }
            diesel::delete(service_user_tokens::table)
                .filter(service_user_tokens::id.eq_any(over))
                .execute(c)
                .await?;
            diesel::insert_into(service_user_tokens::table)
                .values((
                    TokenRow::from(token),
                    service_user_tokens::service_user_id.eq(DbUuid::from(id)),
                    service_user_tokens::hash.eq(new.hash.0.as_slice()),
                ))
                .execute(c)
                .await?;
            let action = AuditAction::ServiceUserTokenIssued;
            let issued = token_event(act, account, token.id, action);
            record!(c, issued.with(what_was_issued(id, token)));
            Ok(InsertLimited::Inserted(TokenRow::from(token).into()))
        })?;
        Ok(inserted)
    }

    async fn delete_token(
        &self,
        account: AccountId,
        id: UserId,
        token: ServiceUserTokenId,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let deleted = with_tx!(self, |c| {
            let deleted = diesel::delete(service_user_tokens::table)
                .filter(service_user_tokens::id.eq(DbUuid::from(token)))
                .filter(is_token_of!(account, id))
                .execute(c)
                .await?;
            if deleted == 1 {
                let details = AuditDetails {
                    service_user_id: Some(id),
                    ..AuditDetails::default()
                };
                let action = AuditAction::ServiceUserTokenDeleted;
                record!(c, token_event(act, account, token, action).with(details));
            }
            Ok(deleted == 1)
        })?;
        Ok(deleted)
    }

    async fn find_by_hash(
        &self,
        hash: &HashedServiceUserToken,
    ) -> Result<Option<ServiceUserContext>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(service_user_tokens::table
            .inner_join(
                service_users::table.on(service_users::id.eq(service_user_tokens::service_user_id)),
            )
            .inner_join(accounts::table.on(accounts::id.eq(service_users::account_id)))
            .inner_join(
                memberships::table.on(memberships::account_id
                    .eq(service_users::account_id)
                    .and(memberships::user_id.eq(service_users::id))),
            )
            .filter(service_user_tokens::hash.eq(hash.0.as_slice()))
            .filter(accounts::suspended_at.is_null())
            .select((
                ServiceUserRow::columns(),
                memberships::role,
                AccountRow::columns(),
                TokenRow::columns(),
            ))
            .first::<(ServiceUserRow, String, AccountRow, TokenRow)>(c)
            .await
            .optional()?))?;
        let Some((row, role, account, token)) = row else {
            return Ok(None);
        };
        Ok(Some(ServiceUserContext {
            service_user: service_user((row, role)),
            account: account.try_into()?,
            token: token.into(),
        }))
    }

    async fn touch(&self, id: ServiceUserTokenId, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = DbTime::from(now);
        let earlier = service_user_tokens::last_used_at
            .is_null()
            .or(service_user_tokens::last_used_at.lt(now));
        with_conn!(self, write, |c| {
            diesel::update(service_user_tokens::table)
                .filter(service_user_tokens::id.eq(DbUuid::from(id)))
                .filter(earlier)
                .set(service_user_tokens::last_used_at.eq(now))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
