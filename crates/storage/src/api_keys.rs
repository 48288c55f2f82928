//! API keys and their secrets.

mod dead;
pub mod kinds;
mod rows;
mod search;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl,
};
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent, Role};
use remotegpu_keys::{
    ApiKey, ApiKeyChange, ApiKeyRepository, HashedApiKey, InsertApiKey, KeyStatus, NewApiKey,
    NewKeySecret, PresentedKey, RevokeApiKey, RotateApiKey, UpdateApiKey,
};
use remotegpu_namespaces::NamespaceStatus;
use remotegpu_primitives::{
    AccountId, Act, ApiKeyId, KeySecretId, NamespaceId, Page, PageRequest, StoreError,
};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_quick_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    identities::{end_identities, living},
    members::has_role,
    readable::list_page,
    schema::{accounts, api_keys, credential_identities, key_secrets, memberships, namespaces},
    types::{DbTime, DbUuid, db_time},
    uses::USES,
};

pub use rows::scopes_text;
use rows::secret_row;
pub use rows::{ApiKeyRow, PresentedRow, has_unknown_words, presented};
pub(crate) use rows::{join_key, presented_columns, presented_keys};
use search::{containing, in_lower_case};

/// The account's key, or what to answer when it cannot be changed (contract K6,
/// K7). Holds the account's row.
macro_rules! active_key {
    ($connection:expr, $account:expr, $id:expr, $now:expr, $outcome:ident) => {{
        if !hold_account!($connection, $account) {
            return Ok($outcome::NotFound);
        }
        let row = api_keys::table
            .filter(api_keys::id.eq(DbUuid::from($id)))
            .filter(api_keys::account_id.eq(DbUuid::from($account)))
            .filter(api_keys::kind.eq(kinds::KEY))
            .select(ApiKeyRow::columns())
            .first::<ApiKeyRow>($connection)
            .await
            .optional()?;
        let Some(row) = row else {
            return Ok($outcome::NotFound);
        };
        let key = ApiKey::from(row);
        if key.status($now) != KeyStatus::Active {
            return Ok($outcome::NotActive);
        }
        key
    }};
}

/// Which of the namespaces that scopes name are not the account's living ones
/// (contract K12).
macro_rules! foreign_namespaces {
    ($connection:expr, $account:expr, $scopes:expr) => {{
        let named: Vec<NamespaceId> = $scopes.namespace_ids().collect();
        let known: Vec<DbUuid> = if named.is_empty() {
            Vec::new()
        } else {
            namespaces::table
                .filter(namespaces::id.eq_any(named.iter().map(|id| DbUuid::from(*id))))
                .filter(namespaces::account_id.eq(DbUuid::from($account)))
                .filter(namespaces::removed_at.is_null())
                .filter(namespaces::status.ne(NamespaceStatus::Deleting.as_str()))
                .select(namespaces::id)
                .load($connection)
                .await?
        };
        let foreign = |id: &NamespaceId| !known.contains(&DbUuid::from(*id));
        named.into_iter().filter(foreign).collect::<Vec<_>>()
    }};
}

#[async_trait]
impl ApiKeyRepository for Database {
    async fn find(&self, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(api_keys::id.eq(DbUuid::from(id)))
            .filter(api_keys::account_id.eq(DbUuid::from(account)))
            .filter(api_keys::kind.eq(kinds::KEY))
            .select(ApiKeyRow::columns())
            .first::<ApiKeyRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(ApiKey::from))
    }

    async fn find_by_hash(&self, hash: &HashedApiKey) -> Result<Option<PresentedKey>, StoreError> {
        let row: Option<PresentedRow> = with_quick_conn!(self, |c| Ok(presented_keys!()
            .filter(api_keys::kind.eq(kinds::KEY))
            .filter(key_secrets::hash.eq(hash.0.as_slice()))
            .first(c)
            .await
            .optional()?))?;
        Ok(row.map(presented))
    }

    async fn find_by_secret(
        &self,
        secret: KeySecretId,
    ) -> Result<Option<PresentedKey>, StoreError> {
        let row: Option<PresentedRow> = with_conn!(self, read, |c| Ok(presented_keys!()
            .filter(key_secrets::id.eq(DbUuid::from(secret)))
            .first(c)
            .await
            .optional()?))?;
        Ok(row.map(presented))
    }

    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        list_page!(self, page, api_keys, ApiKeyRow => ApiKey, "API keys", |query| {
            query
                .filter(api_keys::account_id.eq(DbUuid::from(account)))
                .filter(api_keys::kind.eq(kinds::KEY))
        })
    }

    async fn search(
        &self,
        account: AccountId,
        text: &str,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        use diesel::{EscapeExpressionMethods as _, TextExpressionMethods as _};

        let pattern = containing(text);
        list_page!(self, page, api_keys, ApiKeyRow => ApiKey, "API keys", |query| {
            let name = in_lower_case(api_keys::name).like(in_lower_case(pattern.clone())).escape('\\');
            let prefix = in_lower_case(api_keys::prefix).like(in_lower_case(pattern.clone())).escape('\\');
            query
                .filter(api_keys::account_id.eq(DbUuid::from(account)))
                .filter(api_keys::kind.eq(kinds::KEY))
                .filter(name.or(prefix))
        })
    }

    async fn insert(
        &self,
        key: &NewApiKey,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertApiKey, StoreError> {
        let account = DbUuid::from(key.account_id);
        let created_at = DbTime::from(key.created_at);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, key.account_id) {
                return Err(Failure::Conflict("there is no such account"));
            }
            if !has_role!(c, key.account_id, key.created_by, Role::Write) {
                return Ok(InsertApiKey::MakerMayNot);
            }
            let foreign = foreign_namespaces!(c, key.account_id, key.scopes);
            if !foreign.is_empty() {
                return Ok(InsertApiKey::ForeignNamespaces(foreign));
            }
            let own_limit: Option<i64> = accounts::table
                .filter(accounts::id.eq(account))
                .select(accounts::key_limit)
                .first(c)
                .await?;
            let not_expired = api_keys::expires_at
                .is_null()
                .or(api_keys::expires_at.gt(created_at));
            let active: i64 = api_keys::table
                .filter(api_keys::account_id.eq(account))
                .filter(api_keys::kind.eq(kinds::KEY))
                .filter(api_keys::revoked_at.is_null())
                .filter(not_expired)
                .count()
                .get_result(c)
                .await?;
            if active >= own_limit.unwrap_or(i64::from(default_limit)) {
                return Ok(InsertApiKey::LimitReached);
            }
            let row = diesel::insert_into(api_keys::table)
                .values(ApiKeyRow::try_from(key)?)
                .returning(ApiKeyRow::columns())
                .get_result::<ApiKeyRow>(c)
                .await?;
            diesel::insert_into(key_secrets::table)
                .values(secret_row(key.id, &key.secret, key.created_at))
                .execute(c)
                .await?;
            let details = AuditDetails {
                name: Some(key.name.as_str().to_owned()),
                ..with_prefix(&key.secret)
            };
            let issued = event(act, key.account_id, key.id, AuditAction::ApiKeyIssued);
            record!(c, issued.with(details));
            Ok(InsertApiKey::Inserted(row.into()))
        })?;
        Ok(inserted)
    }

    async fn update(
        &self,
        account: AccountId,
        id: ApiKeyId,
        change: &ApiKeyChange,
        act: &Act,
    ) -> Result<UpdateApiKey, StoreError> {
        let now = act.at;
        let of_key = credential_identities::key_id.eq(DbUuid::from(id));
        let updated = with_tx!(self, |c| {
            let key = active_key!(c, account, id, now, UpdateApiKey);
            if let Some(scopes) = &change.scopes {
                let foreign = foreign_namespaces!(c, account, scopes);
                if !foreign.is_empty() {
                    return Ok(UpdateApiKey::ForeignNamespaces(foreign));
                }
            }
            let name = change.name.as_ref().unwrap_or(&key.name);
            let scopes = change.scopes.as_ref().unwrap_or(&key.scopes);
            let expires_at = db_time(change.expires_at.unwrap_or(key.expires_at));
            let row = diesel::update(api_keys::table.filter(api_keys::id.eq(DbUuid::from(id))))
                .set((
                    api_keys::name.eq(name.as_str()),
                    api_keys::scopes.eq(scopes_text(scopes)?),
                    api_keys::expires_at.eq(expires_at),
                ))
                .returning(ApiKeyRow::columns())
                .get_result::<ApiKeyRow>(c)
                .await?;
            if change.scopes.is_some() {
                let used: Vec<DbUuid> = credential_identities::table
                    .filter(of_key)
                    .filter(living!(now))
                    .select(credential_identities::namespace_id)
                    .distinct()
                    .load(c)
                    .await?;
                for namespace in used {
                    if !scopes.allow_kubernetes_exec(namespace.into()) {
                        let here = credential_identities::namespace_id.eq(namespace);
                        end_identities!(c, of_key.and(here), now);
                    }
                }
            }
            if change.expires_at.is_some() {
                let secrets: Vec<(DbUuid, Option<DbTime>)> = key_secrets::table
                    .filter(key_secrets::key_id.eq(DbUuid::from(id)))
                    .filter(
                        key_secrets::ends_at
                            .is_null()
                            .or(key_secrets::ends_at.gt(DbTime::from(now))),
                    )
                    .select((key_secrets::id, key_secrets::ends_at))
                    .load(c)
                    .await?;
                let until = |expires_at: Option<DbTime>, secret_end: Option<DbTime>| {
                    [expires_at, secret_end].into_iter().flatten().min()
                };
                for (secret, secret_end) in secrets {
                    let before = until(db_time(key.expires_at), secret_end);
                    let of_secret = credential_identities::secret_id.eq(secret);
                    let after = until(expires_at, secret_end);
                    end_identities!(c, of_secret, from before, to after, at now);
                }
            }
            let updated = event(act, account, id, AuditAction::ApiKeyUpdated);
            record!(c, updated.with(what_changed(change)));
            Ok(UpdateApiKey::Updated(row.into()))
        })?;
        Ok(updated)
    }

    async fn revoke(
        &self,
        account: AccountId,
        id: ApiKeyId,
        act: &Act,
    ) -> Result<RevokeApiKey, StoreError> {
        let now = act.at;
        let revoked = with_tx!(self, |c| {
            active_key!(c, account, id, now, RevokeApiKey);
            let row = diesel::update(api_keys::table.filter(api_keys::id.eq(DbUuid::from(id))))
                .set(api_keys::revoked_at.eq(DbTime::from(now)))
                .returning(ApiKeyRow::columns())
                .get_result::<ApiKeyRow>(c)
                .await?;
            end_identities!(c, credential_identities::key_id.eq(DbUuid::from(id)), now);
            record!(c, event(act, account, id, AuditAction::ApiKeyRevoked));
            Ok(RevokeApiKey::Revoked(row.into()))
        })?;
        Ok(revoked)
    }

    async fn rotate(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: &NewKeySecret,
        old_ends_at: OffsetDateTime,
        act: &Act,
    ) -> Result<RotateApiKey, StoreError> {
        let now = act.at;
        let key_id = DbUuid::from(id);
        let of_key = credential_identities::key_id.eq(key_id);
        let rotated = with_tx!(self, |c| {
            active_key!(c, account, id, now, RotateApiKey);
            let newest: DbUuid = key_secrets::table
                .filter(key_secrets::key_id.eq(key_id))
                .filter(key_secrets::ends_at.is_null())
                .select(key_secrets::id)
                .first(c)
                .await?;
            diesel::update(key_secrets::table)
                .filter(key_secrets::key_id.eq(key_id))
                .filter(key_secrets::ends_at.gt(DbTime::from(now)))
                .set(key_secrets::ends_at.eq(DbTime::from(now)))
                .execute(c)
                .await?;
            diesel::update(key_secrets::table.filter(key_secrets::id.eq(newest)))
                .set(key_secrets::ends_at.eq(DbTime::from(old_ends_at)))
                .execute(c)
                .await?;
            diesel::insert_into(key_secrets::table)
                .values(secret_row(id, secret, now))
                .execute(c)
                .await?;
            let row = diesel::update(api_keys::table.filter(api_keys::id.eq(key_id)))
                .set(api_keys::prefix.eq(secret.prefix.as_str()))
                .returning(ApiKeyRow::columns())
                .get_result::<ApiKeyRow>(c)
                .await?;
            let of_newest = credential_identities::secret_id.eq(newest);
            end_identities!(c, of_newest, old_ends_at);
            let of_older = credential_identities::secret_id.ne(newest);
            end_identities!(c, of_key.and(of_older), now);
            let details = AuditDetails {
                old_secret_ends_at: Some(old_ends_at),
                ..with_prefix(secret)
            };
            let rotated = event(act, account, id, AuditAction::ApiKeyRotated);
            record!(c, rotated.with(details));
            Ok(RotateApiKey::Rotated(row.into()))
        })?;
        Ok(rotated)
    }

    async fn record_use(&self, uses: &[(ApiKeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.record_times(USES, uses).await
    }

    async fn remove_dead(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        self.remove_keys_dead_before(&[kinds::KEY], before, limit)
            .await
    }

    async fn remove_surplus(
        &self,
        most: u32,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        self.remove_surplus_of_dead_keys(most, since, now).await
    }

    async fn remove_ended_secrets(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.remove_secrets_ended_before(before, limit).await
    }
}

fn event(act: &Act, account: AccountId, key: ApiKeyId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::ApiKey(key))
}

fn with_prefix(secret: &NewKeySecret) -> AuditDetails {
    AuditDetails {
        prefix: Some(secret.prefix.as_str().to_owned()),
        ..AuditDetails::default()
    }
}

fn what_changed(change: &ApiKeyChange) -> AuditDetails {
    let members = [
        ("name", change.name.is_some()),
        ("scopes", change.scopes.is_some()),
        ("expires_at", change.expires_at.is_some()),
    ];
    let changed = members.iter().filter(|(_, changed)| *changed);
    let name = change.name.as_ref();
    AuditDetails {
        name: name.map(|name| name.as_str().to_owned()),
        changed: Some(changed.map(|(member, _)| (*member).to_owned()).collect()),
        ..AuditDetails::default()
    }
}
