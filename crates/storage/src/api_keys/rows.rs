//! What stands in the tables of keys and secrets, and what it means.

use diesel::{Insertable, Queryable, Selectable};
use remotegpu_accounts::Role;
use remotegpu_keys::{
    ApiKey, KeyName, KeySecret, NewApiKey, NewKeySecret, PresentedKey, SecretPrefix,
};
use remotegpu_namespaces::ClusterAccess;
use remotegpu_primitives::ApiKeyId;
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::OffsetDateTime;

use super::kinds;
use crate::{
    error::Failure,
    schema::{api_keys, key_secrets},
    types::{DbTime, DbUuid, db_time, domain_time},
};

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
    kind: String,
}

impl ApiKeyRow {
    /// What it may do in a cluster. Of a kind that a newer version wrote, the least.
    pub fn access(&self) -> ClusterAccess {
        kinds::access(&self.kind).unwrap_or(ClusterAccess::Viewer)
    }
}

#[derive(Insertable)]
#[diesel(table_name = key_secrets)]
pub struct NewSecretRow<'a> {
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
            kind: kinds::KEY.to_owned(),
        })
    }
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            name: KeyName::from_stored(row.name),
            prefix: SecretPrefix::from_stored(row.prefix),
            scopes: Scopes::from_stored(row.scopes),
            created_at: row.created_at.into(),
            created_by: row.created_by.into(),
            expires_at: domain_time(row.expires_at),
            revoked_at: domain_time(row.revoked_at),
            last_used_at: domain_time(row.last_used_at),
        }
    }
}

/// The canonical JSON, unless it is one that could not be read again.
pub fn scopes_text(scopes: &Scopes) -> Result<String, Failure> {
    match scopes {
        Scopes::KubernetesExec(NamespaceAccess::Only(ids)) if ids.is_empty() => {
            Err(Failure::Conflict("the scopes name no namespace"))
        }
        scopes => Ok(scopes.to_string()),
    }
}

pub fn secret_row(
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
        $crate::api_keys::join_key!(key_secrets::table)
            .select($crate::api_keys::presented_columns!())
    };
}

/// Joins to a query that has `key_secrets` all that decides about their keys.
macro_rules! join_key {
    ($secrets:expr) => {
        $secrets
            .inner_join(api_keys::table.on(api_keys::id.eq(key_secrets::key_id)))
            .inner_join(accounts::table.on(accounts::id.eq(api_keys::account_id)))
            .left_join(
                memberships::table.on(memberships::account_id
                    .eq(api_keys::account_id)
                    .and(memberships::user_id.eq(api_keys::created_by))),
            )
    };
}

/// What decides about a key, of joined tables: a [`PresentedRow`].
macro_rules! presented_columns {
    () => {
        (
            <ApiKeyRow as $crate::either::Columns>::columns(),
            key_secrets::id,
            key_secrets::ends_at,
            accounts::suspended_at,
            memberships::role.nullable(),
        )
    };
}

pub(crate) use {join_key, presented_columns, presented_keys};

/// Reads such a row.
pub fn presented(row: PresentedRow) -> PresentedKey {
    let (key, secret, ends_at, suspended_at, word) = row;
    let needed = kinds::needed_role(&key.kind);
    // A role that a newer version gave allows nothing here (contract R6).
    let role = word.and_then(|word| word.parse::<Role>().ok());
    PresentedKey {
        key: key.into(),
        secret: KeySecret {
            id: secret.into(),
            ends_at: domain_time(ends_at),
        },
        account_suspended: suspended_at.is_some(),
        maker_may: role.is_some_and(|role| needed.is_some_and(|needed| role.allows(needed))),
    }
}

/// Whether a newer version wrote what decides about this key: what it is, its scopes, or its
/// maker's role. A key that has ended has, whoever wrote the rest.
pub fn has_unknown_words((key, _, _, _, word): &PresentedRow) -> bool {
    let scopes = Scopes::parse(&key.scopes);
    let role = word.as_deref().map(str::parse::<Role>);
    let kind = kinds::needed_role(&key.kind);
    let unknown = scopes.is_err() || kind.is_none() || matches!(role, Some(Err(_)));
    key.revoked_at.is_none() && unknown
}
