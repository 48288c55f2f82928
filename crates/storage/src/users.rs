//! People, and what they are in which account.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl,
    Queryable, Selectable,
};
use remotegpu_accounts::{
    Account, AuditAction, AuditDetails, AuditSubject, CreateUser, Email, HashedPassword,
    Membership, NewAuditEvent, NewUser, PasswordChange, Role, User, UserRepository,
};
use remotegpu_primitives::{AccountId, Act, SessionId, StoreError, UserId, Word};

use crate::{
    Database,
    access_tokens::delete_access_tokens,
    accounts::{AccountRow, hold_account},
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    invitations::{event as invitation_event, is_invited},
    kubeconfig_tokens::end_kubeconfig_tokens,
    schema::{
        access_tokens, accounts, api_keys, installation, invitations, memberships, sessions, users,
    },
    types::{DbTime, DbUuid},
};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct UserRow {
    id: DbUuid,
    email: String,
    password_hash: String,
    password_change_until: Option<DbTime>,
    created_at: DbTime,
}

#[derive(Insertable)]
#[diesel(table_name = memberships)]
struct MembershipRow {
    account_id: DbUuid,
    user_id: DbUuid,
    role: &'static str,
    created_at: DbTime,
}

impl From<&NewUser> for UserRow {
    fn from(user: &NewUser) -> Self {
        Self {
            id: user.id.into(),
            email: user.email.as_str().to_owned(),
            password_hash: user.password.as_str().to_owned(),
            password_change_until: change_until(user.password_change),
            created_at: user.created_at.into(),
        }
    }
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.into(),
            email: Email::from_stored(row.email),
            password: HashedPassword::from_stored(row.password_hash),
            password_change: match row.password_change_until {
                None => PasswordChange::NotNeeded,
                Some(until) => PasswordChange::NeededUntil(until.into()),
            },
            created_at: row.created_at.into(),
        }
    }
}

fn change_until(change: PasswordChange) -> Option<DbTime> {
    match change {
        PasswordChange::NotNeeded => None,
        PasswordChange::NeededUntil(until) => Some(until.into()),
    }
}

fn membership(user: &NewUser, account: AccountId, role: Role) -> MembershipRow {
    MembershipRow {
        account_id: account.into(),
        user_id: user.id.into(),
        role: role.as_str(),
        created_at: user.created_at.into(),
    }
}

fn account_created(account: &Account, act: &Act) -> NewAuditEvent {
    let subject = AuditSubject::Account(account.id);
    NewAuditEvent::new(act, account.id, AuditAction::AccountCreated, subject)
}

/// Holds the user's row until the transaction ends, if this is still their
/// password. Whoever stores what the password opened does this first: then a
/// change of the password finds it, or it the change. An account's row is held
/// before, never after. Answers whether it is.
macro_rules! hold_password {
    ($connection:expr, $user:expr, $password:expr) => {
        diesel::update(
            $crate::schema::users::table
                .filter($crate::schema::users::id.eq($crate::types::DbUuid::from($user)))
                .filter($crate::schema::users::password_hash.eq($password.as_str())),
        )
        // No key column: rows that refer to the user can still be added.
        .set($crate::schema::users::password_hash.eq($crate::schema::users::password_hash))
        .execute($connection)
        .await?
            == 1
    };
}

pub(crate) use hold_password;

#[async_trait]
impl UserRepository for Database {
    async fn find_by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(users::table
            .filter(users::email.eq(email.as_str()))
            .select(UserRow::columns())
            .first::<UserRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(User::from))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, StoreError> {
        let rows = with_conn!(self, read, |c| Ok(memberships::table
            .inner_join(accounts::table.on(accounts::id.eq(memberships::account_id)))
            .inner_join(users::table.on(users::id.eq(memberships::user_id)))
            .filter(memberships::user_id.eq(DbUuid::from(user)))
            .order((memberships::created_at, memberships::account_id))
            .select((
                AccountRow::columns(),
                memberships::role,
                users::last_account_id,
            ))
            .load::<(AccountRow, String, Option<DbUuid>)>(c)
            .await?))?;
        let read = |(row, word, last): (AccountRow, String, Option<DbUuid>)| {
            let account = Account::try_from(row)?;
            Ok::<_, Failure>(Membership {
                role: Word::from_stored(word),
                last_acted_for: last == Some(account.id.into()),
                account,
            })
        };
        let memberships: Result<Vec<Membership>, Failure> = rows.into_iter().map(read).collect();
        Ok(memberships?)
    }

    async fn has_first(&self) -> Result<bool, StoreError> {
        let made: i64 = with_conn!(self, read, |c| Ok(installation::table
            .filter(installation::id.eq(1_i64))
            .count()
            .get_result(c)
            .await?))?;
        Ok(made > 0)
    }

    async fn insert_first(
        &self,
        user: &NewUser,
        account: &Account,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let first = with_tx!(self, |c| {
            let mine = diesel::insert_into(installation::table)
                .values((
                    installation::id.eq(1_i64),
                    installation::created_at.eq(DbTime::from(user.created_at)),
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            if mine == 0 {
                return Ok(false);
            }
            diesel::insert_into(users::table)
                .values(UserRow::from(user))
                .execute(c)
                .await?;
            diesel::insert_into(accounts::table)
                .values(AccountRow::from(account))
                .execute(c)
                .await?;
            diesel::insert_into(memberships::table)
                .values(membership(user, account.id, Role::Admin))
                .execute(c)
                .await?;
            record!(c, account_created(account, act));
            Ok(true)
        })?;
        Ok(first)
    }

    async fn insert_with_account(
        &self,
        user: &NewUser,
        account: &Account,
        act: &Act,
    ) -> Result<CreateUser, StoreError> {
        let created = with_tx!(self, |c| {
            if is_invited!(c, user.email, act.at) {
                return Ok(CreateUser::EmailTaken);
            }
            let inserted = diesel::insert_into(users::table)
                .values(UserRow::from(user))
                .on_conflict(users::email)
                .do_nothing()
                .execute(c)
                .await?;
            if inserted == 0 {
                return Ok(CreateUser::EmailTaken);
            }
            diesel::insert_into(accounts::table)
                .values(AccountRow::from(account))
                .execute(c)
                .await?;
            diesel::insert_into(memberships::table)
                .values(membership(user, account.id, Role::Admin))
                .execute(c)
                .await?;
            record!(c, account_created(account, act));
            Ok(CreateUser::Created)
        })?;
        Ok(created)
    }

    async fn insert_member(
        &self,
        user: &NewUser,
        account: AccountId,
        role: Role,
        act: &Act,
    ) -> Result<CreateUser, StoreError> {
        let created = with_tx!(self, |c| {
            let exists: Option<DbUuid> = accounts::table
                .filter(accounts::id.eq(DbUuid::from(account)))
                .select(accounts::id)
                .first(c)
                .await
                .optional()?;
            if exists.is_none() {
                return Ok(CreateUser::AccountNotFound);
            }
            let inserted = diesel::insert_into(users::table)
                .values(UserRow::from(user))
                .on_conflict(users::email)
                .do_nothing()
                .execute(c)
                .await?;
            if inserted == 0 {
                return Ok(CreateUser::EmailTaken);
            }
            diesel::insert_into(memberships::table)
                .values(membership(user, account, role))
                .execute(c)
                .await?;
            let details = AuditDetails {
                role: Some(role.into()),
                ..AuditDetails::default()
            };
            let subject = AuditSubject::User(user.id);
            let created = NewAuditEvent::new(act, account, AuditAction::UserCreated, subject);
            record!(c, created.with(details));
            Ok(CreateUser::Created)
        })?;
        Ok(created)
    }

    async fn set_password(
        &self,
        user: UserId,
        verified: Option<&HashedPassword>,
        password: &HashedPassword,
        change: PasswordChange,
        keep: Option<SessionId>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let set = with_tx!(self, |c| {
            // Accounts before users, in their order, so that nobody waits in a circle.
            let theirs: Vec<DbUuid> = memberships::table
                .filter(memberships::user_id.eq(DbUuid::from(user)))
                .order(memberships::account_id)
                .select(memberships::account_id)
                .load(c)
                .await?;
            for account in &theirs {
                if !hold_account!(c, AccountId::from(*account)) {
                    return Ok(false);
                }
            }
            if let Some(verified) = verified
                && !hold_password!(c, user, verified)
            {
                return Ok(false);
            }
            let changed = diesel::update(users::table.filter(users::id.eq(DbUuid::from(user))))
                .set((
                    users::password_hash.eq(password.as_str()),
                    users::password_change_until.eq(change_until(change)),
                ))
                .execute(c)
                .await?;
            if changed == 0 {
                return Ok(false);
            }
            let of_user = sessions::user_id.eq(DbUuid::from(user));
            // The nil UUID is no session's.
            let kept = keep.map_or(DbUuid(uuid::Uuid::nil()), DbUuid::from);
            diesel::delete(
                sessions::table
                    .filter(of_user)
                    .filter(sessions::id.ne(kept)),
            )
            .execute(c)
            .await?;
            let mut parts = 0;
            if let PasswordChange::NeededUntil(_) = change {
                let of_user = access_tokens::created_by.eq(DbUuid::from(user));
                delete_access_tokens!(c, of_user, act, parts);
                // Nor does a link stay that whoever had the password has sent to themselves.
                let links: Vec<(DbUuid, DbUuid)> = diesel::delete(invitations::table)
                    .filter(invitations::created_by.eq(DbUuid::from(user)))
                    .returning((invitations::id, invitations::account_id))
                    .load(c)
                    .await?;
                for (link, account) in links {
                    parts += 1;
                    let part = act.part(parts);
                    let action = AuditAction::InvitationDeleted;
                    let event = invitation_event(&part, account.into(), link.into(), action);
                    record!(c, event);
                }
            }
            // Whoever had the password may have made these with it (contract T9).
            let of_user = api_keys::created_by.eq(DbUuid::from(user));
            end_kubeconfig_tokens!(c, of_user, act, parts);
            let event = NewAuditEvent {
                act: act.clone(),
                accounts: theirs.into_iter().map(AccountId::from).collect(),
                action: match change {
                    PasswordChange::NotNeeded => AuditAction::UserPasswordChanged,
                    PasswordChange::NeededUntil(_) => AuditAction::UserPasswordReset,
                },
                subject: AuditSubject::User(user),
                details: AuditDetails::default(),
            };
            record!(c, event);
            Ok(true)
        })?;
        Ok(set)
    }
}
