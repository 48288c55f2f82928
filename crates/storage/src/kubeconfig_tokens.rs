//! Tokens that stand in kubeconfigs (contract T9). Each is a row of API keys of another kind,
//! with scopes for one namespace and a secret that nobody has: so whatever ends the cluster
//! identity of a key ends theirs, by the same statements.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, Selectable, dsl::exists,
};
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent, Role};
use remotegpu_namespaces::{
    InsertKubeconfigToken, IssuedToken, KubeconfigToken, KubeconfigTokenRepository,
    NamespaceStatus, NewKubeconfigToken, TokensOf,
};
use remotegpu_primitives::{AccountId, Act, KubeconfigTokenId, Page, PageRequest, StoreError};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::OffsetDateTime;

use crate::{
    Database,
    accounts::hold_account,
    api_keys::{ApiKeyRow, kinds, presented, scopes_text},
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery},
    error::Failure,
    identities::{
        living,
        reasons::{Justification, justifications, justified},
    },
    readable::list_page,
    schema::{
        accounts, api_keys, credential_identities, key_secrets, memberships, namespaces, sessions,
    },
    types::{DbTime, DbUuid},
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct TokenRow {
    id: DbUuid,
    account_id: DbUuid,
    scopes: String,
    kind: String,
    created_at: DbTime,
    created_by: DbUuid,
    expires_at: Option<DbTime>,
}

impl TryFrom<TokenRow> for KubeconfigToken {
    type Error = Failure;

    fn try_from(row: TokenRow) -> Result<Self, Failure> {
        let namespace = Scopes::from_stored(row.scopes).namespace_ids().next();
        let (Some(namespace_id), Some(expires_at), Some(access)) =
            (namespace, row.expires_at, kinds::access(&row.kind))
        else {
            return Err(Failure::Corrupt(
                "a kubeconfig token without namespace or end".into(),
            ));
        };
        Ok(Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            namespace_id,
            access,
            created_by: row.created_by.into(),
            created_at: row.created_at.into(),
            expires_at: expires_at.into(),
        })
    }
}

/// Tokens that nobody has ended and whose time is not over.
macro_rules! not_ended {
    ($now:expr) => {
        $crate::schema::api_keys::kind
            .eq_any($crate::api_keys::kinds::TOKENS)
            .and($crate::schema::api_keys::revoked_at.is_null())
            .and($crate::schema::api_keys::expires_at.gt($crate::types::DbTime::from($now)))
    };
}

/// The account's tokens that open something: their cluster identities live.
macro_rules! living_tokens {
    ($account:expr, $of:expr, $now:expr) => {{
        let (maker, anyones) = match $of {
            TokensOf::Maker(maker) => (DbUuid::from(maker), false),
            TokensOf::All => (DbUuid(uuid::Uuid::nil()), true),
        };
        let anyones = diesel::IntoSql::into_sql::<diesel::sql_types::Bool>(anyones);
        not_ended!($now)
            .and(api_keys::account_id.eq(DbUuid::from($account)))
            .and(api_keys::created_by.eq(maker).or(anyones))
            .and(exists(
                credential_identities::table
                    .filter(credential_identities::key_id.eq(api_keys::id))
                    .filter(living!($now))
                    .select(credential_identities::id),
            ))
    }};
}

/// Ends the tokens that the filter takes and that nobody has ended, with their cluster
/// identities, within a transaction that holds their accounts.
///
/// - `$filter, at $now`: answers their identifiers, accounts, and namespaces' names.
/// - `$filter, $act, $parts`: each is told as a part of the act; `$parts` counts those that
///   there were.
macro_rules! end_kubeconfig_tokens {
    ($connection:expr, $filter:expr, $act:expr, $parts:expr) => {{
        let ended =
            $crate::kubeconfig_tokens::end_kubeconfig_tokens!($connection, $filter, at $act.at);
        for (token, account, _) in &ended {
            $parts += 1;
            let event =
                $crate::kubeconfig_tokens::ended_with(&$act.part($parts), *account, *token);
            $crate::audit_events::record!($connection, event);
        }
    }};
    ($connection:expr, $filter:expr, at $now:expr) => {{
        use $crate::schema::{api_keys, credential_identities};
        let ended: Vec<($crate::types::DbUuid, $crate::types::DbUuid, String)> =
            diesel::update(api_keys::table)
                .filter($filter)
                .filter(api_keys::kind.eq_any($crate::api_keys::kinds::TOKENS))
                .filter(api_keys::revoked_at.is_null())
                // An older version, which takes it for a key, may have taken its end away.
                .filter(
                    api_keys::expires_at
                        .is_null()
                        .or(api_keys::expires_at.gt($crate::types::DbTime::from($now))),
                )
                .set(api_keys::revoked_at.eq($crate::types::DbTime::from($now)))
                .returning((api_keys::id, api_keys::account_id, api_keys::name))
                .load($connection)
                .await?;
        let of_these = credential_identities::key_id.eq_any(ended.iter().map(|(id, ..)| *id));
        $crate::identities::end_identities!($connection, of_these, $now);
        ended
    }};
}

pub(crate) use {end_kubeconfig_tokens, not_ended};

#[async_trait]
impl KubeconfigTokenRepository for Database {
    async fn insert(
        &self,
        token: &NewKubeconfigToken,
        limit: u32,
    ) -> Result<InsertKubeconfigToken, StoreError> {
        let account = DbUuid::from(token.account_id);
        let created_at = DbTime::from(token.created_at);
        let inserted = with_tx!(self, |c| {
            // Whatever takes away what it stands on holds the account as well.
            if !hold_account!(c, token.account_id) {
                return Ok(InsertKubeconfigToken::Refused);
            }
            let living_account: Option<DbUuid> = accounts::table
                .filter(accounts::id.eq(account))
                .filter(accounts::suspended_at.is_null())
                .select(accounts::id)
                .first(c)
                .await
                .optional()?;
            let role: Option<String> = memberships::table
                .filter(memberships::account_id.eq(account))
                .filter(memberships::user_id.eq(DbUuid::from(token.created_by)))
                .select(memberships::role)
                .first(c)
                .await
                .optional()?;
            let role = role.and_then(|word| word.parse::<Role>().ok());
            let namespace: Option<String> = namespaces::table
                .filter(namespaces::id.eq(DbUuid::from(token.namespace_id)))
                .filter(namespaces::account_id.eq(account))
                .filter(namespaces::removed_at.is_null())
                .filter(namespaces::status.eq(NamespaceStatus::Active.as_str()))
                .select(namespaces::name)
                .first(c)
                .await
                .optional()?;
            let session = match token.session_id {
                None => true,
                Some(session) => {
                    let found: i64 = sessions::table
                        .filter(sessions::id.eq(DbUuid::from(session)))
                        .count()
                        .get_result(c)
                        .await?;
                    found > 0
                }
            };
            let (Some(_), Some(role), Some(name), true) =
                (living_account, role, namespace, session)
            else {
                return Ok(InsertKubeconfigToken::Refused);
            };
            let living: i64 = api_keys::table
                .filter(not_ended!(token.created_at))
                .filter(api_keys::account_id.eq(account))
                .filter(api_keys::created_by.eq(DbUuid::from(token.created_by)))
                .count()
                .get_result(c)
                .await?;
            if living >= i64::from(limit) {
                return Ok(InsertKubeconfigToken::LimitReached);
            }
            let only = NamespaceAccess::Only([token.namespace_id].into());
            diesel::insert_into(api_keys::table)
                .values((
                    api_keys::id.eq(DbUuid::from(token.id)),
                    api_keys::account_id.eq(account),
                    api_keys::name.eq(name),
                    api_keys::prefix.eq(""),
                    api_keys::scopes.eq(scopes_text(&Scopes::KubernetesExec(only))?),
                    api_keys::kind.eq(kinds::token_of(role)),
                    api_keys::created_at.eq(created_at),
                    api_keys::created_by.eq(DbUuid::from(token.created_by)),
                    api_keys::expires_at.eq(DbTime::from(token.expires_at)),
                ))
                .execute(c)
                .await?;
            diesel::insert_into(key_secrets::table)
                .values((
                    key_secrets::id.eq(DbUuid::from(token.secret_id)),
                    key_secrets::key_id.eq(DbUuid::from(token.id)),
                    key_secrets::hash.eq(token.nobodys_hash.as_slice()),
                    key_secrets::prefix.eq(""),
                    key_secrets::created_at.eq(created_at),
                ))
                .execute(c)
                .await?;
            Ok(InsertKubeconfigToken::Inserted)
        })?;
        Ok(inserted)
    }

    async fn mark_issued(
        &self,
        account: AccountId,
        id: KubeconfigTokenId,
        issued: &IssuedToken,
        act: &Act,
    ) -> Result<Option<KubeconfigToken>, StoreError> {
        let found = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(None);
            }
            let row = api_keys::table
                .filter(api_keys::id.eq(DbUuid::from(id)))
                .filter(living_tokens!(account, TokensOf::All, act.at))
                .select(TokenRow::columns())
                .first::<TokenRow>(c)
                .await
                .optional()?;
            let stands_on: Option<Justification> = justifications!()
                .filter(credential_identities::key_id.eq(DbUuid::from(id)))
                .first(c)
                .await
                .optional()?;
            let (Some(row), Some((_, namespace, state, key))) = (row, stands_on) else {
                return Ok(None);
            };
            // Not the times, which another instance's clock may have given, but what is done.
            if !justified(&presented(key), namespace.into(), &state, act.at) {
                return Ok(None);
            }
            let token = KubeconfigToken::try_from(row)?;
            let details = AuditDetails {
                identity: Some(issued.identity.clone()),
                token_id: issued.token_id.clone(),
                expires_at: Some(token.expires_at),
                ..AuditDetails::default()
            };
            let action = AuditAction::KubeconfigTokenIssued;
            record!(c, event(act, account, id, action).with(details));
            Ok(Some(token))
        })?;
        Ok(found)
    }

    async fn abandon(
        &self,
        account: AccountId,
        id: KubeconfigTokenId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        with_tx!(self, |c| {
            if hold_account!(c, account) {
                end_kubeconfig_tokens!(c, api_keys::id.eq(DbUuid::from(id)), at now);
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        id: KubeconfigTokenId,
        now: OffsetDateTime,
    ) -> Result<Option<KubeconfigToken>, StoreError> {
        let row = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(api_keys::id.eq(DbUuid::from(id)))
            .filter(living_tokens!(account, of, now))
            .select(TokenRow::columns())
            .first::<TokenRow>(c)
            .await
            .optional()?))?;
        Ok(row.map(KubeconfigToken::try_from).transpose()?)
    }

    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
        now: OffsetDateTime,
    ) -> Result<Page<KubeconfigToken>, StoreError> {
        list_page!(self, page, api_keys, TokenRow => KubeconfigToken, "kubeconfig tokens", |query| {
            query.filter(living_tokens!(account, of, now))
        })
    }

    async fn end(
        &self,
        account: AccountId,
        of: TokensOf,
        id: KubeconfigTokenId,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let ended = with_tx!(self, |c| {
            if !hold_account!(c, account) {
                return Ok(false);
            }
            let this_one = api_keys::id.eq(DbUuid::from(id));
            let filter = this_one.and(living_tokens!(account, of, act.at));
            if end_kubeconfig_tokens!(c, filter, at act.at).is_empty() {
                return Ok(false);
            }
            record!(
                c,
                event(act, account, id, AuditAction::KubeconfigTokenEnded)
            );
            Ok(true)
        })?;
        Ok(ended)
    }

    async fn remove_ended(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        self.remove_keys_dead_before(&kinds::TOKENS, before, limit)
            .await
    }
}

fn event(
    act: &Act,
    account: AccountId,
    id: KubeconfigTokenId,
    action: AuditAction,
) -> NewAuditEvent {
    NewAuditEvent::new(act, account, action, AuditSubject::KubeconfigToken(id))
}

/// The event of a token that ends as a part of another act.
pub(crate) fn ended_with(part: &Act, account: DbUuid, id: DbUuid) -> NewAuditEvent {
    let action = AuditAction::KubeconfigTokenEnded;
    event(part, account.into(), id.into(), action)
}
