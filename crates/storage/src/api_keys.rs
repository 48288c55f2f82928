//! API keys and their secrets.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use remotegpu_accounts::Role;
use remotegpu_keys::{
    ApiKey, ApiKeyChange, ApiKeyRepository, HashedApiKey, InsertApiKey, KeyName, KeyPrefix,
    KeySecret, KeyStatus, NewApiKey, NewKeySecret, PresentedKey, RevokeApiKey, RotateApiKey,
    UpdateApiKey,
};
use remotegpu_primitives::{
    AccountId, ApiKeyId, KeySecretId, NamespaceId, Page, PageRequest, StoreError,
};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    connection::{with_conn, with_tx},
    error::Failure,
    identities::{end_identities, living},
    schema::{accounts, api_keys, credential_identities, key_secrets, memberships, namespaces},
    types::{DbTime, DbUuid, db_time, domain_time},
    users::role,
};

/// How many uses of keys are written in one transaction.
const USES_AT_ONCE: usize = 100;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys)]
pub struct ApiKeyRow {
    id: DbUuid,
    account_id: DbUuid,
    name: String,
    prefix: String,
    scopes: String,
    created_at: DbTime,
    created_by: DbUuid,
    expires_at: Option<DbTime>,
    revoked_at: Option<DbTime>,
    last_used_at: Option<DbTime>,
}

#[derive(Insertable)]
#[diesel(table_name = key_secrets)]
struct NewSecretRow<'a> {
    id: DbUuid,
    key_id: DbUuid,
    hash: &'a [u8],
    prefix: &'a str,
    created_at: DbTime,
}

impl TryFrom<&NewApiKey> for ApiKeyRow {
    type Error = Failure;

    fn try_from(key: &NewApiKey) -> Result<Self, Failure> {
        Ok(Self {
            id: key.id.into(),
            account_id: key.account_id.into(),
            name: key.name.as_str().to_owned(),
            prefix: key.secret.prefix.as_str().to_owned(),
            scopes: scopes_text(&key.scopes)?,
            created_at: key.created_at.into(),
            created_by: key.created_by.into(),
            expires_at: db_time(key.expires_at),
            revoked_at: None,
            last_used_at: None,
        })
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = Failure;

    fn try_from(row: ApiKeyRow) -> Result<Self, Failure> {
        let scopes = Scopes::parse(&row.scopes);
        Ok(Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            name: KeyName::from_stored(row.name),
            prefix: KeyPrefix::from_stored(row.prefix),
            scopes: scopes.map_err(|error| Failure::Corrupt(error.to_string()))?,
            created_at: row.created_at.into(),
            created_by: row.created_by.into(),
            expires_at: domain_time(row.expires_at),
            revoked_at: domain_time(row.revoked_at),
            last_used_at: domain_time(row.last_used_at),
        })
    }
}

/// The canonical JSON, unless it is one that could not be read again.
fn scopes_text(scopes: &Scopes) -> Result<String, Failure> {
    match scopes {
        Scopes::KubernetesExec(NamespaceAccess::Only(ids)) if ids.is_empty() => {
            Err(Failure::Conflict("the scopes name no namespace"))
        }
        scopes => Ok(scopes.to_string()),
    }
}

fn secret_row(
    key: ApiKeyId,
    secret: &NewKeySecret,
    created_at: OffsetDateTime,
) -> NewSecretRow<'_> {
    NewSecretRow {
        id: secret.id.into(),
        key_id: key.into(),
        hash: &secret.hash.0,
        prefix: secret.prefix.as_str(),
        created_at: created_at.into(),
    }
}

/// Key, secret and its end, the account's suspension, the maker's role.
pub type PresentedRow = (
    ApiKeyRow,
    DbUuid,
    Option<DbTime>,
    Option<DbTime>,
    Option<String>,
);

/// All that decides what a secret opens, in one query; a filter is to follow.
macro_rules! presented_keys {
    () => {
        key_secrets::table
            .inner_join(api_keys::table.on(api_keys::id.eq(key_secrets::key_id)))
            .inner_join(accounts::table.on(accounts::id.eq(api_keys::account_id)))
            .left_join(
                memberships::table.on(memberships::account_id
                    .eq(api_keys::account_id)
                    .and(memberships::user_id.eq(api_keys::created_by))),
            )
            .select((
                ApiKeyRow::as_select(),
                key_secrets::id,
                key_secrets::ends_at,
                accounts::suspended_at,
                memberships::role.nullable(),
            ))
    };
}

pub(crate) use presented_keys;

pub fn presented(row: PresentedRow) -> Result<PresentedKey, Failure> {
    let (key, secret, ends_at, suspended_at, word) = row;
    let role = word.as_deref().map(role).transpose()?;
    Ok(PresentedKey {
        key: key.try_into()?,
        secret: KeySecret {
            id: secret.into(),
            ends_at: domain_time(ends_at),
        },
        account_suspended: suspended_at.is_some(),
        maker_may_write: role.is_some_and(|role| role.allows(Role::Write)),
    })
}

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
            .select(ApiKeyRow::as_select())
            .first($connection)
            .await
            .optional()?;
        let Some(row) = row else {
            return Ok($outcome::NotFound);
        };
        let key = ApiKey::try_from(row)?;
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
                .filter(namespaces::status.ne("deleting"))
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
            .select(ApiKeyRow::as_select())
            .first(c)
            .await
            .optional()?))?;
        Ok(row.map(ApiKey::try_from).transpose()?)
    }

    async fn find_by_hash(&self, hash: &HashedApiKey) -> Result<Option<PresentedKey>, StoreError> {
        let row: Option<PresentedRow> = with_conn!(self, read, |c| Ok(presented_keys!()
            .filter(key_secrets::hash.eq(hash.0.as_slice()))
            .first(c)
            .await
            .optional()?))?;
        Ok(row.map(presented).transpose()?)
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
        Ok(row.map(presented).transpose()?)
    }

    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let rows = with_conn!(self, read, |c| {
            let mut query = api_keys::table
                .filter(api_keys::account_id.eq(DbUuid::from(account)))
                .select(ApiKeyRow::as_select())
                .order(api_keys::id.desc())
                .limit(i64::from(page.limit()) + 1)
                .into_boxed();
            if let Some(after) = page.after() {
                query = query.filter(api_keys::id.lt(DbUuid(after.0)));
            }
            Ok(query.load(c).await?)
        })?;
        let keys: Result<Vec<ApiKey>, Failure> = rows.into_iter().map(ApiKey::try_from).collect();
        Ok(Page::from_overfull(keys?, page.limit(), |key| {
            key.id.as_uuid()
        }))
    }

    async fn insert(
        &self,
        key: &NewApiKey,
        default_limit: u32,
    ) -> Result<InsertApiKey, StoreError> {
        let account = DbUuid::from(key.account_id);
        let created_at = DbTime::from(key.created_at);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, key.account_id) {
                return Err(Failure::Conflict("there is no such account"));
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
                .returning(ApiKeyRow::as_returning())
                .get_result(c)
                .await?;
            diesel::insert_into(key_secrets::table)
                .values(secret_row(key.id, &key.secret, key.created_at))
                .execute(c)
                .await?;
            Ok(InsertApiKey::Inserted(row.try_into()?))
        })?;
        Ok(inserted)
    }

    async fn update(
        &self,
        account: AccountId,
        id: ApiKeyId,
        change: &ApiKeyChange,
        now: OffsetDateTime,
    ) -> Result<UpdateApiKey, StoreError> {
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
                .returning(ApiKeyRow::as_returning())
                .get_result(c)
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
                for (secret, secret_end) in secrets {
                    let ends_at = [expires_at, secret_end].into_iter().flatten().min();
                    // What has ended never comes back to life.
                    diesel::update(credential_identities::table)
                        .filter(credential_identities::secret_id.eq(secret))
                        .filter(living!(now))
                        .set(credential_identities::ends_at.eq(ends_at))
                        .execute(c)
                        .await?;
                }
            }
            Ok(UpdateApiKey::Updated(row.try_into()?))
        })?;
        Ok(updated)
    }

    async fn revoke(
        &self,
        account: AccountId,
        id: ApiKeyId,
        now: OffsetDateTime,
    ) -> Result<RevokeApiKey, StoreError> {
        let revoked = with_tx!(self, |c| {
            active_key!(c, account, id, now, RevokeApiKey);
            let row = diesel::update(api_keys::table.filter(api_keys::id.eq(DbUuid::from(id))))
                .set(api_keys::revoked_at.eq(DbTime::from(now)))
                .returning(ApiKeyRow::as_returning())
                .get_result(c)
                .await?;
            end_identities!(c, credential_identities::key_id.eq(DbUuid::from(id)), now);
            Ok(RevokeApiKey::Revoked(row.try_into()?))
        })?;
        Ok(revoked)
    }

    async fn rotate(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: &NewKeySecret,
        old_ends_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<RotateApiKey, StoreError> {
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
                .returning(ApiKeyRow::as_returning())
                .get_result(c)
                .await?;
            let of_newest = credential_identities::secret_id.eq(newest);
            end_identities!(c, of_newest, old_ends_at);
            let of_older = credential_identities::secret_id.ne(newest);
            end_identities!(c, of_key.and(of_older), now);
            Ok(RotateApiKey::Rotated(row.try_into()?))
        })?;
        Ok(rotated)
    }

    async fn record_use(&self, uses: &[(ApiKeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        // In one order everywhere: two instances that write the same keys wait
        // for each other, and never in a circle.
        let mut uses: Vec<(DbUuid, DbTime)> = uses
            .iter()
            .map(|(id, time)| (DbUuid::from(*id), DbTime::from(*time)))
            .collect();
        uses.sort_unstable();
        for uses in uses.chunks(USES_AT_ONCE) {
            with_tx!(self, |c| {
                for (id, time) in uses {
                    let never = api_keys::last_used_at.is_null();
                    diesel::update(api_keys::table.filter(api_keys::id.eq(*id)))
                        .filter(never.or(api_keys::last_used_at.lt(*time)))
                        .set(api_keys::last_used_at.eq(*time))
                        .execute(c)
                        .await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
