//! Who is in which account, and what they may do there.

pub mod made;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl,
    TextExpressionMethods,
};
use made::{
    KeyRow, access_token, active_keys_of, end_access_tokens_of, end_invitations_of, end_made_by,
    invitation, key, token,
};
use remotegpu_accounts::{
    AuditAction, AuditDetails, AuditSubject, ChangeMember, Email, KeysOfMaker, Made, MadeBefore,
    Member, MemberRepository, NewAuditEvent, Role,
};
use remotegpu_primitives::{AccountId, Act, Actor, Page, PageRequest, StoreError, UserId, Word};
use time::OffsetDateTime;

use crate::{
    Database,
    access_tokens::{Gone, gone},
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{RunQuery, on_each},
    forms::claim,
    kubeconfig_tokens::not_ended,
    schema::{access_tokens, api_keys, invitations, memberships, sessions, users},
    standing::ask_again,
    types::{DbTime, DbUuid},
};

/// What the users of machines that manage are called in place of an address.
pub(crate) const NO_PERSON: &str = "service-user:%";

/// User, address, role, since when.
type MemberRow = (DbUuid, String, String, DbTime);

fn member((user, email, role, joined_at): MemberRow) -> Member {
    Member {
        user_id: user.into(),
        email: Email::from_stored(email),
        role: Word::from_stored(role),
        joined_at: joined_at.into(),
    }
}

/// The people of an account, and no machines.
macro_rules! people_of {
    ($account:expr) => {
        memberships::table
            .inner_join(users::table.on(users::id.eq(memberships::user_id)))
            .filter(memberships::account_id.eq(DbUuid::from($account)))
            .filter(users::email.not_like($crate::members::NO_PERSON))
            .select((
                memberships::user_id,
                users::email,
                memberships::role,
                memberships::created_at,
            ))
    };
}

/// Whether somebody has a role in the account that allows what `$needed` does. Whoever
/// stores what stands on a role asks this with the account's row held: then a change of the
/// role finds it, or it the change.
macro_rules! has_role {
    ($connection:expr, $account:expr, $user:expr, $needed:expr) => {{
        use $crate::schema::memberships;
        let word: Option<String> = memberships::table
            .filter(memberships::account_id.eq($crate::types::DbUuid::from($account)))
            .filter(memberships::user_id.eq($crate::types::DbUuid::from($user)))
            .select(memberships::role)
            .first($connection)
            .await
            .optional()?;
        let role = word.and_then(|word| word.parse::<remotegpu_accounts::Role>().ok());
        role.is_some_and(|role| role.allows($needed))
    }};
}

/// Whether whoever acts is an admin of the account, or the operator; with its row held.
macro_rules! acts_as_admin {
    ($connection:expr, $account:expr, $act:expr) => {
        match $act.actor {
            remotegpu_primitives::Actor::Operator => true,
            remotegpu_primitives::Actor::User(id) => {
                $crate::members::has_role!(
                    $connection,
                    $account,
                    id,
                    remotegpu_accounts::Role::Admin
                )
            }
            _ => false,
        }
    };
}

/// The person of this identifier in the account, or what to answer where there is none, or
/// where the account would be without an admin. Holds the account's row.
macro_rules! held_person {
    ($connection:expr, $account:expr, $user:expr, stays_admin: $stays:expr) => {{
        if !hold_account!($connection, $account) {
            return Ok(ChangeMember::NotFound);
        }
        let found = people_of!($account)
            .filter(memberships::user_id.eq(DbUuid::from($user)))
            .first::<MemberRow>($connection)
            .await
            .optional()?;
        let Some(person) = found.map(member) else {
            return Ok(ChangeMember::NotFound);
        };
        if person.role == Role::Admin && !$stays {
            let others = people_of!($account)
                .filter(memberships::role.eq(Role::Admin.as_str()))
                .filter(memberships::user_id.ne(DbUuid::from($user)))
                .first::<MemberRow>($connection)
                .await
                .optional()?;
            if others.is_none() {
                return Ok(ChangeMember::LastAdmin);
            }
        }
        person
    }};
}

/// The columns of a new membership.
macro_rules! member_columns {
    ($account:expr, $user:expr, $role:expr, $at:expr) => {
        (
            $crate::schema::memberships::account_id.eq($crate::types::DbUuid::from($account)),
            $crate::schema::memberships::user_id.eq($crate::types::DbUuid::from($user)),
            $crate::schema::memberships::role.eq($role),
            $crate::schema::memberships::created_at.eq($crate::types::DbTime::from($at)),
        )
    };
}

pub(crate) use {acts_as_admin, has_role, member_columns};

#[async_trait]
impl MemberRepository for Database {
    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<Member>, StoreError> {
        let rows: Vec<MemberRow> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = people_of!(account)
                .order(memberships::user_id.desc())
                .limit(i64::from(page.limit()) + 1)
                .into_boxed();
            if let Some(after) = page.after() {
                query = query.filter(memberships::user_id.lt(DbUuid(after.0)));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        let members = rows.into_iter().map(member).collect();
        let id_of = |member: &Member| member.user_id.as_uuid();
        Ok(Page::from_overfull(members, page.limit(), id_of))
    }

    async fn find(&self, account: AccountId, user: UserId) -> Result<Option<Member>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(people_of!(account)
            .filter(memberships::user_id.eq(DbUuid::from(user)))
            .first::<MemberRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(member))
    }

    async fn list_made(
        &self,
        account: AccountId,
        maker: UserId,
        now: OffsetDateTime,
    ) -> Result<Vec<Made>, StoreError> {
        let keys: Vec<KeyRow> = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(active_keys_of!(account, maker, now))
            .order(api_keys::id.desc())
            .select((api_keys::id, api_keys::name))
            .load(c)
            .await?))?;
        let tokens: Vec<(DbUuid, DbUuid, String)> =
            with_conn!(self, read, |c| Ok(api_keys::table
                .filter(not_ended!(now))
                .filter(api_keys::account_id.eq(DbUuid::from(account)))
                .filter(api_keys::created_by.eq(DbUuid::from(maker)))
                .order(api_keys::id.desc())
                .select((api_keys::id, api_keys::account_id, api_keys::name))
                .load(c)
                .await?))?;
        let access: Vec<Gone> = with_conn!(self, read, |c| Ok(access_tokens::table
            .filter(access_tokens::account_id.eq(DbUuid::from(account)))
            .filter(access_tokens::created_by.eq(DbUuid::from(maker)))
            .filter(
                access_tokens::expires_at
                    .is_null()
                    .or(access_tokens::expires_at.gt(DbTime::from(now)))
            )
            .order(access_tokens::id.desc())
            .select(gone!())
            .load(c)
            .await?))?;
        let open: Vec<(DbUuid, String)> = with_conn!(self, read, |c| Ok(invitations::table
            .filter(invitations::account_id.eq(DbUuid::from(account)))
            .filter(invitations::created_by.eq(DbUuid::from(maker)))
            .filter(invitations::expires_at.gt(DbTime::from(now)))
            .order(invitations::id.desc())
            .select((invitations::id, invitations::email))
            .load(c)
            .await?))?;
        let mut all: Vec<Made> = keys.into_iter().map(key).collect();
        all.extend(tokens.into_iter().map(token));
        all.extend(access.iter().map(access_token));
        all.extend(open.into_iter().map(invitation));
        Ok(all)
    }

    async fn join(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let joined = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(false);
            }
            let inserted = diesel::insert_into(memberships::table)
                .values(member_columns!(account, user, role.as_str(), act.at))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            if inserted == 1 {
                let joined = event(act, account, user, AuditAction::MemberRoleChanged);
                record!(c, joined.with(of_role(role)));
            }
            Ok(inserted == 1)
        })?;
        Ok(joined)
    }

    async fn set_role(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<Member>, StoreError> {
        let changed = with_tx!(self, |c| {
            let mut person = held_person!(c, account, user, stays_admin: role == Role::Admin);
            if !acts_as_admin!(c, account, act) {
                return Ok(ChangeMember::NotAllowed);
            }
            // Before the change, which may be of the actor's own role.
            ask_again(c, act).await?;
            let act = &act.clone().standing_on(None);
            if person.role == role {
                claim!(c, act);
                return Ok(ChangeMember::Changed(person, MadeBefore::default()));
            }
            person.role = role.into();
            diesel::update(memberships::table)
                .filter(memberships::account_id.eq(DbUuid::from(account)))
                .filter(memberships::user_id.eq(DbUuid::from(user)))
                .set(memberships::role.eq(role.as_str()))
                .execute(c)
                .await?;
            let mut before = if role.allows(Role::Write) {
                MadeBefore::default()
            } else {
                end_made_by!(c, account, user, keys, act)
            };
            if role != Role::Admin {
                end_invitations_of!(c, account, user, act, before);
            }
            let changed = event(act, account, user, AuditAction::MemberRoleChanged);
            record!(c, changed.with(of_role(role)));
            Ok(ChangeMember::Changed(person, before))
        })?;
        Ok(changed)
    }

    async fn remove(
        &self,
        account: AccountId,
        user: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError> {
        let removed = with_tx!(self, |c| {
            held_person!(c, account, user, stays_admin: false);
            let leaves = act.actor == Actor::User(user);
            if !leaves && !acts_as_admin!(c, account, act) {
                return Ok(ChangeMember::NotAllowed);
            }
            // Before the change, which may end the actor's own membership.
            ask_again(c, act).await?;
            let act = &act.clone().standing_on(None);
            let mut before = end_made_by!(c, account, user, keys, act);
            end_access_tokens_of!(c, account, user, act, before);
            end_invitations_of!(c, account, user, act, before);
            diesel::delete(sessions::table)
                .filter(sessions::account_id.eq(DbUuid::from(account)))
                .filter(sessions::user_id.eq(DbUuid::from(user)))
                .execute(c)
                .await?;
            diesel::delete(memberships::table)
                .filter(memberships::account_id.eq(DbUuid::from(account)))
                .filter(memberships::user_id.eq(DbUuid::from(user)))
                .execute(c)
                .await?;
            let action = if leaves {
                AuditAction::MemberLeft
            } else {
                AuditAction::MemberRemoved
            };
            record!(c, event(act, account, user, action));
            Ok(ChangeMember::Changed((), before))
        })?;
        Ok(removed)
    }
}

fn event(act: &Act, account: AccountId, user: UserId, action: AuditAction) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::User(user))
}

fn of_role(role: Role) -> AuditDetails {
    AuditDetails {
        role: Some(role.into()),
        ..AuditDetails::default()
    }
}
