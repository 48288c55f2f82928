//! Invitations into accounts.

use async_trait::async_trait;
use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, Selectable,
};
use remotegpu_accounts::{
    AcceptInvitation, Account, AuditAction, AuditDetails, AuditSubject, DeleteInvitation, Email,
    Guest, HashedInvitation, InsertInvitation, Invitation, InvitationRepository, NewAuditEvent,
    NewInvitation,
};
use remotegpu_primitives::{AccountId, Act, InvitationId, Page, PageRequest, StoreError, Word};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::{AccountRow, hold_account},
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    members::{acts_as_admin, member_columns},
    readable::list_page,
    schema::{accounts, invitations, memberships, users},
    types::{DbTime, DbUuid},
    users::UserRow,
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = invitations)]
struct InvitationRow {
    id: DbUuid,
    account_id: DbUuid,
    email: String,
    role: String,
    created_by: DbUuid,
    created_at: DbTime,
    expires_at: DbTime,
}

impl From<&NewInvitation> for InvitationRow {
    fn from(new: &NewInvitation) -> Self {
        Self {
            id: new.id.into(),
            account_id: new.account_id.into(),
            email: new.email.as_str().to_owned(),
            role: new.role.as_str().to_owned(),
            created_by: new.created_by.into(),
            created_at: new.created_at.into(),
            expires_at: (new.created_at + Invitation::LIFE).into(),
        }
    }
}

impl From<InvitationRow> for Invitation {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            email: Email::from_stored(row.email),
            role: Word::from_stored(row.role),
            created_by: row.created_by.into(),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.into(),
        }
    }
}

/// Whether an open invitation waits for this address, whatever the account.
macro_rules! is_invited {
    ($connection:expr, $email:expr, $now:expr) => {{
        let open: Option<$crate::types::DbUuid> = $crate::schema::invitations::table
            .filter($crate::schema::invitations::email.eq($email.as_str()))
            .filter($crate::schema::invitations::expires_at.gt($crate::types::DbTime::from($now)))
            .select($crate::schema::invitations::id)
            .first($connection)
            .await
            .optional()?;
        open.is_some()
    }};
}

pub(crate) use is_invited;

#[async_trait]
impl InvitationRepository for Database {
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
        now: OffsetDateTime,
    ) -> Result<Page<Invitation>, StoreError> {
        list_page!(self, page, invitations, InvitationRow => Invitation, "invitations", |query| {
            query
                .filter(invitations::account_id.eq(DbUuid::from(account)))
                .filter(invitations::expires_at.gt(DbTime::from(now)))
        })
    }

    async fn find(
        &self,
        account: AccountId,
        id: InvitationId,
        now: OffsetDateTime,
    ) -> Result<Option<Invitation>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(invitations::table
            .filter(invitations::id.eq(DbUuid::from(id)))
            .filter(invitations::account_id.eq(DbUuid::from(account)))
            .filter(invitations::expires_at.gt(DbTime::from(now)))
            .select(InvitationRow::columns())
            .first::<InvitationRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(Invitation::from))
    }

    async fn find_by_hash(
        &self,
        hash: &HashedInvitation,
        now: OffsetDateTime,
    ) -> Result<Option<(Invitation, Account)>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(invitations::table
            .inner_join(accounts::table.on(accounts::id.eq(invitations::account_id)))
            .filter(invitations::hash.eq(hash.0.as_slice()))
            .filter(invitations::expires_at.gt(DbTime::from(now)))
            .filter(accounts::suspended_at.is_null())
            .select((InvitationRow::columns(), AccountRow::columns()))
            .first::<(InvitationRow, AccountRow)>(c)
            .await
            .optional()?))?;
        let read = |(invitation, account): (InvitationRow, AccountRow)| {
            Ok::<_, Failure>((invitation.into(), account.try_into()?))
        };
        Ok(row.map(read).transpose()?)
    }

    async fn insert(
        &self,
        new: &NewInvitation,
        limit: u32,
        act: &Act,
    ) -> Result<InsertInvitation, StoreError> {
        let account = DbUuid::from(new.account_id);
        let inserted = with_tx!(self, |c| {
            if !hold_account!(c, new.account_id) || !acts_as_admin!(c, new.account_id, act) {
                return Ok(InsertInvitation::NotAllowed);
            }
            let member: Option<DbUuid> = memberships::table
                .inner_join(users::table.on(users::id.eq(memberships::user_id)))
                .filter(memberships::account_id.eq(account))
                .filter(users::email.eq(new.email.as_str()))
                .select(memberships::user_id)
                .first(c)
                .await
                .optional()?;
            if member.is_some() {
                return Ok(InsertInvitation::AlreadyInvited);
            }
            // What has expired is nobody's any more.
            diesel::delete(invitations::table)
                .filter(invitations::account_id.eq(account))
                .filter(invitations::expires_at.le(DbTime::from(act.at)))
                .execute(c)
                .await?;
            let open: Vec<String> = invitations::table
                .filter(invitations::account_id.eq(account))
                .select(invitations::email)
                .load(c)
                .await?;
            if open.iter().any(|email| email == new.email.as_str()) {
                return Ok(InsertInvitation::AlreadyInvited);
            }
            if open.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(InsertInvitation::LimitReached);
            }
            let row = diesel::insert_into(invitations::table)
                .values((
                    InvitationRow::from(new),
                    invitations::hash.eq(new.hash.0.as_slice()),
                ))
                .returning(InvitationRow::columns())
                .get_result::<InvitationRow>(c)
                .await?;
            let details = AuditDetails {
                name: Some(new.email.as_str().to_owned()),
                role: Some(new.role.into()),
                ..AuditDetails::default()
            };
            let created = event(act, new.account_id, new.id, AuditAction::InvitationCreated);
            record!(c, created.with(details));
            Ok(InsertInvitation::Inserted(row.into()))
        })?;
        Ok(inserted)
    }

    async fn delete(
        &self,
        account: AccountId,
        id: InvitationId,
        act: &Act,
    ) -> Result<DeleteInvitation, StoreError> {
        let deleted = with_tx!(self, |c| {
            if !hold_account!(c, account) || !acts_as_admin!(c, account, act) {
                return Ok(DeleteInvitation::NotAllowed);
            }
            let deleted = diesel::delete(invitations::table)
                .filter(invitations::id.eq(DbUuid::from(id)))
                .filter(invitations::account_id.eq(DbUuid::from(account)))
                .filter(invitations::expires_at.gt(DbTime::from(act.at)))
                .execute(c)
                .await?;
            if deleted == 0 {
                return Ok(DeleteInvitation::NotFound);
            }
            record!(c, event(act, account, id, AuditAction::InvitationDeleted));
            Ok(DeleteInvitation::Deleted)
        })?;
        Ok(deleted)
    }

    async fn accept(
        &self,
        hash: &HashedInvitation,
        guest: Guest<'_>,
        act: &Act,
    ) -> Result<AcceptInvitation, StoreError> {
        let now = DbTime::from(act.at);
        let of_hash = || invitations::table.filter(invitations::hash.eq(hash.0.as_slice()));
        let accepted = with_tx!(self, |c| {
            let account: Option<DbUuid> = of_hash()
                .select(invitations::account_id)
                .first(c)
                .await
                .optional()?;
            let Some(account) = account else {
                return Ok(AcceptInvitation::NotFound);
            };
            // One of several who accept it comes first, and the others find it gone.
            if !hold_account!(c, AccountId::from(account)) {
                return Ok(AcceptInvitation::NotFound);
            }
            let found = of_hash()
                .inner_join(accounts::table.on(accounts::id.eq(invitations::account_id)))
                .filter(invitations::expires_at.gt(now))
                .filter(accounts::suspended_at.is_null())
                .select((InvitationRow::columns(), AccountRow::columns()))
                .first::<(InvitationRow, AccountRow)>(c)
                .await
                .optional()?;
            let Some((invitation, account_row)) = found else {
                return Ok(AcceptInvitation::NotFound);
            };
            let user = match guest {
                Guest::User(id) => {
                    let email: Option<String> = users::table
                        .filter(users::id.eq(DbUuid::from(id)))
                        .select(users::email)
                        .first(c)
                        .await
                        .optional()?;
                    if email.as_deref() != Some(invitation.email.as_str()) {
                        return Ok(AcceptInvitation::WrongPerson);
                    }
                    id
                }
                Guest::New(user) => {
                    if user.email.as_str() != invitation.email {
                        return Ok(AcceptInvitation::WrongPerson);
                    }
                    let inserted = diesel::insert_into(users::table)
                        .values(UserRow::from(user))
                        .on_conflict(users::email)
                        .do_nothing()
                        .execute(c)
                        .await?;
                    if inserted == 0 {
                        return Ok(AcceptInvitation::EmailTaken);
                    }
                    user.id
                }
            };
            diesel::insert_into(memberships::table)
                .values(member_columns!(
                    account,
                    user,
                    invitation.role.as_str(),
                    now
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            let role: String = memberships::table
                .filter(memberships::account_id.eq(account))
                .filter(memberships::user_id.eq(DbUuid::from(user)))
                .select(memberships::role)
                .first(c)
                .await?;
            diesel::delete(of_hash()).execute(c).await?;
            let details = AuditDetails {
                role: Some(Word::from_stored(role.clone())),
                ..AuditDetails::default()
            };
            let (id, action) = (invitation.id.into(), AuditAction::InvitationAccepted);
            record!(c, event(act, account.into(), id, action).with(details));
            let role = Word::from_stored(role);
            Ok(AcceptInvitation::Accepted(account_row.try_into()?, role))
        })?;
        Ok(accepted)
    }
}

pub fn event(
    act: &Act,
    account: AccountId,
    invitation: InvitationId,
    action: AuditAction,
) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::Invitation(invitation))
}
