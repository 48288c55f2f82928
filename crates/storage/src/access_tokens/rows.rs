//! What stands in the table of access tokens, and what it means.

use diesel::{Insertable, Queryable, Selectable};
use remotegpu_access_tokens::{
    AccessToken, NewAccessToken, PresentedAccessToken, TokenHandle, TokenNote,
};
use remotegpu_keys::{KeyName, SecretPrefix};
use remotegpu_namespaces::ClusterName;

use crate::{
    schema::access_tokens,
    types::{DbTime, DbUuid, db_time, domain_time},
};

/// No cluster's name has one.
const BETWEEN_CLUSTERS: char = ',';

#[derive(Queryable, Selectable)]
#[diesel(table_name = access_tokens)]
pub struct AccessTokenRow {
    id: DbUuid,
    handle: String,
    account_id: DbUuid,
    name: String,
    note: Option<String>,
    prefix: String,
    clusters: String,
    created_at: DbTime,
    created_by: DbUuid,
    expires_at: Option<DbTime>,
    last_used_at: Option<DbTime>,
}

#[derive(Insertable)]
#[diesel(table_name = access_tokens)]
pub struct NewAccessTokenRow<'a> {
    id: DbUuid,
    handle: &'a str,
    account_id: DbUuid,
    name: &'a str,
    note: Option<&'a str>,
    hash: &'a [u8],
    prefix: &'a str,
    clusters: String,
    created_at: DbTime,
    created_by: DbUuid,
    expires_at: Option<DbTime>,
}

impl<'a> From<&'a NewAccessToken> for NewAccessTokenRow<'a> {
    fn from(token: &'a NewAccessToken) -> Self {
        let clusters: Vec<&str> = token.clusters.iter().map(ClusterName::as_str).collect();
        Self {
            id: token.id.into(),
            handle: token.handle.as_str(),
            account_id: token.account_id.into(),
            name: token.name.as_str(),
            note: token.note.as_ref().map(TokenNote::as_str),
            hash: &token.hash.0,
            prefix: token.prefix.as_str(),
            clusters: clusters.join(&BETWEEN_CLUSTERS.to_string()),
            created_at: token.created_at.into(),
            created_by: token.created_by.into(),
            expires_at: db_time(token.expires_at),
        }
    }
}

impl From<AccessTokenRow> for AccessToken {
    fn from(row: AccessTokenRow) -> Self {
        let clusters = row.clusters.split(BETWEEN_CLUSTERS);
        Self {
            id: row.id.into(),
            handle: TokenHandle::from_stored(row.handle),
            account_id: row.account_id.into(),
            name: KeyName::from_stored(row.name),
            note: row.note.map(TokenNote::from_stored),
            prefix: SecretPrefix::from_stored(row.prefix),
            clusters: clusters
                .map(|name| ClusterName::from_stored(name.to_owned()))
                .collect(),
            created_at: row.created_at.into(),
            created_by: row.created_by.into(),
            expires_at: domain_time(row.expires_at),
            last_used_at: domain_time(row.last_used_at),
        }
    }
}

/// The token, the account's suspension, the holder's role.
pub type PresentedTokenRow = (AccessTokenRow, Option<DbTime>, Option<String>);

/// Reads such a row.
pub fn presented((token, suspended_at, role): PresentedTokenRow) -> PresentedAccessToken {
    PresentedAccessToken {
        token: token.into(),
        // A role that a newer version gave is none here (contract R6).
        role: role.and_then(|word| word.parse().ok()),
        account_suspended: suspended_at.is_some(),
    }
}
