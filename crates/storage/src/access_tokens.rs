//! Access tokens.

mod installation;
mod rows;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl,
};
use remotegpu_access_tokens::{
    AccessToken, AccessTokenRepository, HashedAccessToken, InsertAccessToken, NewAccessToken,
    PresentedAccessToken, TokenHandle, TokensOf,
};
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent, Role};
use remotegpu_primitives::{AccessTokenId, AccountId, Act, Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_quick_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    members::has_role,
    readable::list_page,
    schema::{access_tokens, accounts, memberships, users},
    types::{DbTime, DbUuid},
    uses::TOKEN_USES,
};

use rows::{AccessTokenRow, NewAccessTokenRow, PresentedTokenRow, presented};

/// Deletes the tokens that the filter leaves, as part of a transaction that holds their
/// account or their holder: what ends what a token stands on ends the token (contract T5). Each is told as a
/// part of the act; `$parts` counts those that there were.
macro_rules! delete_access_tokens {
    ($connection:expr, $filter:expr, $act:expr, $parts:expr) => {
        let gone: Vec<$crate::access_tokens::Gone> =
            diesel::delete($crate::schema::access_tokens::table.filter($filter))
                .returning($crate::access_tokens::gone!())
                .load($connection)
                .await?;
        for gone in &gone {
            $parts += 1;
            let event = $crate::access_tokens::deleted(&$act.part($parts), gone);
            $crate::audit_events::record!($connection, event);
        }
    };
}

/// What is told of a token that goes: a [`Gone`].
macro_rules! gone {
    () => {
        (
            $crate::schema::access_tokens::id,
            $crate::schema::access_tokens::account_id,
            $crate::schema::access_tokens::handle,
            $crate::schema::access_tokens::name,
        )
    };
}

pub(crate) use {delete_access_tokens, gone};

/// Its identifier, account, what it was called, and its name.
pub type Gone = (DbUuid, DbUuid, String, String);

/// The event of a token that goes.
pub fn deleted(act: &Act, (id, account, handle, name): &Gone) -> NewAuditEvent {
    let details = AuditDetails {
        name: Some(name.clone()),
        token_id: Some(handle.clone()),
        ..AuditDetails::default()
    };
    event(
        act,
        (*account).into(),
        (*id).into(),
        AuditAction::AccessTokenDeleted,
    )
    .with(details)
}

fn event(act: &Act, account: AccountId, id: AccessTokenId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::AccessToken(id))
}

/// Whether a token is among those that somebody may see.
fn is_of(of: TokensOf, token: &AccessToken) -> bool {
    match of {
        TokensOf::All => true,
        TokensOf::One(user) => token.created_by == user,
    }
}

#[async_trait]
impl AccessTokenRepository for Database {
    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
    ) -> Result<Option<AccessToken>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(access_tokens::table
            .filter(access_tokens::handle.eq(handle.as_str()))
            .filter(access_tokens::account_id.eq(DbUuid::from(account)))
            .select(AccessTokenRow::columns())
            .first::<AccessTokenRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(AccessToken::from).filter(|token| is_of(of, token)))
    }

    async fn find_by_hash(
        &self,
        hash: &HashedAccessToken,
    ) -> Result<Option<PresentedAccessToken>, StoreError> {
        let row: Option<PresentedTokenRow> = with_quick_conn!(self, |c| Ok(access_tokens::table
            .inner_join(accounts::table.on(accounts::id.eq(access_tokens::account_id)))
            .left_join(
                memberships::table.on(memberships::account_id
                    .eq(access_tokens::account_id)
                    .and(memberships::user_id.eq(access_tokens::created_by))),
            )
            .filter(access_tokens::hash.eq(hash.0.as_slice()))
            .select((
                AccessTokenRow::columns(),
                accounts::suspended_at,
                memberships::role.nullable(),
            ))
            .first(c)
            .await
            .optional()?))?;
        Ok(row.map(presented))
    }

    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
    ) -> Result<Page<AccessToken>, StoreError> {
        list_page!(self, page, access_tokens, AccessTokenRow => AccessToken, "access tokens", |query| {
            let query = query.filter(access_tokens::account_id.eq(DbUuid::from(account)));
            match of {
                TokensOf::All => query,
                TokensOf::One(user) => query.filter(access_tokens::created_by.eq(DbUuid::from(user))),
            }
        })
    }

    async fn insert(
        &self,
        token: &NewAccessToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertAccessToken, StoreError> {
        let (account, holder) = (
            DbUuid::from(token.account_id),
            DbUuid::from(token.created_by),
        );
        let now = DbTime::from(token.created_at);
        let here = || {
            access_tokens::created_by
                .eq(holder)
                .and(access_tokens::account_id.eq(account))
        };
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, token.account_id) {
                return Err(Failure::Conflict("there is no such account"));
            }
            // Whoever ends a membership holds the account too, and deletes the tokens.
            if !has_role!(c, token.account_id, token.created_by, Role::Read) {
                return Ok(InsertAccessToken::NotAllowed);
            }
            // A reset of the password waits for this and deletes the token too, or was before.
            let own_password = users::password_change_until.is_null();
            let may = diesel::update(
                users::table
                    .filter(users::id.eq(holder))
                    .filter(own_password),
            )
            // No key column: rows that refer to the user can still be added.
            .set(users::password_hash.eq(users::password_hash))
            .execute(c)
            .await?;
            if may == 0 {
                return Ok(InsertAccessToken::NotAllowed);
            }
            let not_expired = access_tokens::expires_at
                .is_null()
                .or(access_tokens::expires_at.gt(now));
            let active: i64 = access_tokens::table
                .filter(here())
                .filter(not_expired)
                .count()
                .get_result(c)
                .await?;
            if active >= i64::from(limit) {
                return Ok(InsertAccessToken::LimitReached);
            }
            let too_many: Vec<DbUuid> = access_tokens::table
                .filter(here())
                .filter(access_tokens::expires_at.le(now))
                .order((access_tokens::expires_at.desc(), access_tokens::id.desc()))
                .offset(i64::from(NewAccessToken::EXPIRED_KEPT))
                .limit(i64::from(NewAccessToken::EXPIRED_KEPT))
                .select(access_tokens::id)
                .load(c)
                .await?;
            if !too_many.is_empty() {
                diesel::delete(access_tokens::table.filter(access_tokens::id.eq_any(too_many)))
                    .execute(c)
                    .await?;
            }
            let row = diesel::insert_into(access_tokens::table)
                .values(NewAccessTokenRow::from(token))
                .returning(AccessTokenRow::columns())
                .get_result::<AccessTokenRow>(c)
                .await?;
            let details = AuditDetails {
                name: Some(token.name.as_str().to_owned()),
                prefix: Some(token.prefix.as_str().to_owned()),
                token_id: Some(token.handle.as_str().to_owned()),
                expires_at: token.expires_at,
                ..AuditDetails::default()
            };
            let action = AuditAction::AccessTokenIssued;
            record!(
                c,
                event(act, token.account_id, token.id, action).with(details)
            );
            Ok(InsertAccessToken::Inserted(row.into()))
        })?;
        Ok(inserted)
    }

    async fn delete(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let gone = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(false);
            }
            let row = access_tokens::table
                .filter(access_tokens::handle.eq(handle.as_str()))
                .filter(access_tokens::account_id.eq(DbUuid::from(account)))
                .select(AccessTokenRow::columns())
                .first::<AccessTokenRow>(c)
                .await
                .optional()?;
            let found = row.map(AccessToken::from).filter(|token| is_of(of, token));
            let Some(token) = found else {
                return Ok(false);
            };
            let token = access_tokens::table.filter(access_tokens::id.eq(DbUuid::from(token.id)));
            let gone: Gone = diesel::delete(token)
                .returning(gone!())
                .get_result(c)
                .await?;
            record!(c, deleted(act, &gone));
            Ok(true)
        })?;
        Ok(gone)
    }

    async fn record_use(&self, uses: &[(AccessTokenId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.record_times(TOKEN_USES, uses).await
    }

    async fn remove_expired(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        let expired: Vec<DbUuid> = with_conn!(self, read, |c| Ok(access_tokens::table
            .filter(access_tokens::expires_at.lt(DbTime::from(before)))
            .order(access_tokens::expires_at)
            .limit(i64::from(limit))
            .select(access_tokens::id)
            .load(c)
            .await?))?;
        let mut removed = 0;
        for ids in expired.chunks(AT_ONCE) {
            // An end never changes: what had expired still has.
            let gone = with_conn!(self, write, |c| Ok(diesel::delete(
                access_tokens::table.filter(access_tokens::id.eq_any(ids))
            )
            .execute(c)
            .await?))?;
            removed += gone as u64;
        }
        Ok(removed)
    }
}

/// How many rows go in one statement.
const AT_ONCE: usize = 200;
