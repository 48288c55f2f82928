//! What stands in the tables of service users and their tokens, and what it means.

use diesel::{Insertable, Queryable, Selectable};
use remotegpu_accounts::{
    AuditAction, AuditDetails, AuditSubject, Email, HashedPassword, NewAuditEvent, NewServiceUser,
    NewUser, PasswordChange, ServiceUser, ServiceUserChange, ServiceUserToken,
};
use remotegpu_keys::{KeyName, SecretPrefix};
use remotegpu_primitives::{AccountId, Act, ServiceUserTokenId, UserId, Word};

use crate::{
    schema::{service_user_tokens, service_users},
    types::{DbTime, DbUuid, db_time, domain_time},
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = service_users)]
pub struct ServiceUserRow {
    id: DbUuid,
    name: String,
    created_at: DbTime,
    created_by: DbUuid,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = service_user_tokens)]
pub struct TokenRow {
    id: DbUuid,
    name: String,
    prefix: String,
    created_at: DbTime,
    created_by: DbUuid,
    expires_at: DbTime,
    last_used_at: Option<DbTime>,
}

/// A service user, and its role.
pub type WithRole = (ServiceUserRow, String);

pub fn service_user((row, role): WithRole) -> ServiceUser {
    ServiceUser {
        id: row.id.into(),
        name: KeyName::from_stored(row.name),
        role: Word::from_stored(role),
        created_at: row.created_at.into(),
        created_by: row.created_by.into(),
    }
}

impl From<&NewServiceUser> for ServiceUserRow {
    fn from(new: &NewServiceUser) -> Self {
        Self {
            id: new.id.into(),
            name: new.name.as_str().to_owned(),
            created_at: new.created_at.into(),
            created_by: new.created_by.into(),
        }
    }
}

impl From<&ServiceUserToken> for TokenRow {
    fn from(token: &ServiceUserToken) -> Self {
        Self {
            id: token.id.into(),
            name: token.name.as_str().to_owned(),
            prefix: token.prefix.as_str().to_owned(),
            created_at: token.created_at.into(),
            created_by: token.created_by.into(),
            expires_at: token.expires_at.into(),
            last_used_at: db_time(token.last_used_at),
        }
    }
}

impl From<TokenRow> for ServiceUserToken {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id.into(),
            name: KeyName::from_stored(row.name),
            prefix: SecretPrefix::from_stored(row.prefix),
            created_at: row.created_at.into(),
            created_by: row.created_by.into(),
            expires_at: row.expires_at.into(),
            last_used_at: domain_time(row.last_used_at),
        }
    }
}

/// The user that stands for a service user where people's do. Nobody signs in with what is
/// no address, and its password is nobody's.
pub fn user_of(new: &NewServiceUser) -> NewUser {
    NewUser {
        id: new.id,
        email: Email::from_stored(format!("service-user:{}", new.id)),
        password: HashedPassword::of_nobody(),
        password_change: PasswordChange::NotNeeded,
        created_at: new.created_at,
    }
}

pub fn event(act: &Act, account: AccountId, id: UserId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::ServiceUser(id))
}

pub fn token_event(
    act: &Act,
    account: AccountId,
    token: ServiceUserTokenId,
    action: AuditAction,
) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::ServiceUserToken(token))
}

pub fn what_changed(change: &ServiceUserChange) -> AuditDetails {
    let members = [
        ("name", change.name.is_some()),
        ("role", change.role.is_some()),
    ];
    let changed = members.iter().filter(|(_, changed)| *changed);
    let name = change.name.as_ref();
    AuditDetails {
        name: name.map(|name| name.as_str().to_owned()),
        role: change.role.map(Into::into),
        changed: Some(changed.map(|(member, _)| (*member).to_owned()).collect()),
        ..AuditDetails::default()
    }
}

pub fn what_was_issued(id: UserId, token: &ServiceUserToken) -> AuditDetails {
    AuditDetails {
        name: Some(token.name.as_str().to_owned()),
        prefix: Some(token.prefix.as_str().to_owned()),
        expires_at: Some(token.expires_at),
        service_user_id: Some(id),
        ..AuditDetails::default()
    }
}
