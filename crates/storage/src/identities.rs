//! Cluster identities of key secrets: what must end, ends here.

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use remotegpu_keys::PresentedKey;
use remotegpu_namespaces::{
    ClusterName, CredentialIdentity, DueWork, EnsureIdentity, IdentityRepository, IdentityStanding,
    KubernetesNamespaceName, NamespaceStatus, Tried,
};
use remotegpu_primitives::{IdentityId, NamespaceId, StoreError};
use time::{Duration, OffsetDateTime};

use crate::{
    Database,
    accounts::hold_account,
    api_keys::{ApiKeyRow, PresentedRow, join_key, presented, presented_columns, presented_keys},
    connection::{with_conn, with_quick_conn, with_tx},
    schema::{accounts, api_keys, credential_identities, key_secrets, memberships, namespaces},
    types::{DbTime, DbUuid, db_time, domain_time},
};

/// How far the clocks of two instances may be apart. An end bears the time of the act
/// that it is of, and what was done a moment ago elsewhere may lie ahead here.
const CLOCKS_APART: Duration = Duration::MINUTE;
/// How many identities are judged at once, and how many are asked for.
const BATCH: i64 = 200;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = credential_identities)]
pub(crate) struct IdentityRow {
    id: DbUuid,
    secret_id: DbUuid,
    key_id: DbUuid,
    account_id: DbUuid,
    namespace_id: DbUuid,
    kubernetes_namespace: String,
    cluster: String,
    bound: bool,
    ends_at: Option<DbTime>,
}

impl From<&CredentialIdentity> for IdentityRow {
    fn from(identity: &CredentialIdentity) -> Self {
        Self {
            id: identity.id.into(),
            secret_id: identity.secret_id.into(),
            key_id: identity.key_id.into(),
            account_id: identity.account_id.into(),
            namespace_id: identity.namespace_id.into(),
            kubernetes_namespace: identity.kubernetes_namespace.as_str().to_owned(),
            cluster: identity.cluster.as_str().to_owned(),
            bound: identity.bound,
            ends_at: db_time(identity.ends_at),
        }
    }
}

impl From<IdentityRow> for CredentialIdentity {
    fn from(row: IdentityRow) -> Self {
        Self {
            id: row.id.into(),
            secret_id: row.secret_id.into(),
            key_id: row.key_id.into(),
            account_id: row.account_id.into(),
            namespace_id: row.namespace_id.into(),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(row.kubernetes_namespace),
            cluster: ClusterName::from_stored(row.cluster),
            bound: row.bound,
            ends_at: domain_time(row.ends_at),
        }
    }
}

/// Of a namespace: account, status, when it was removed.
type NamespaceState = (DbUuid, String, Option<DbTime>);

/// An identity, its namespace, that one's state, and its key.
type Justification = (DbUuid, DbUuid, NamespaceState, PresentedRow);

/// Identities with all that they stand on: a [`Justification`] each.
macro_rules! justifications {
    () => {
        join_key!(
            credential_identities::table
                .inner_join(
                    namespaces::table.on(namespaces::id.eq(credential_identities::namespace_id)),
                )
                .inner_join(
                    key_secrets::table.on(key_secrets::id.eq(credential_identities::secret_id)),
                )
        )
        .select((
            credential_identities::id,
            namespaces::id,
            (
                namespaces::account_id,
                namespaces::status,
                namespaces::removed_at,
            ),
            presented_columns!(),
        ))
    };
}

/// Identities that have not ended.
macro_rules! living {
    ($now:expr) => {
        credential_identities::ends_at
            .is_null()
            .or(credential_identities::ends_at.gt($crate::types::DbTime::from($now)))
    };
}

/// Ends the identities that the filter takes, at this time or when they end
/// anyway, whichever comes first. Within the transaction that takes the reason
/// for them away, and after the write that does.
macro_rules! end_identities {
    ($connection:expr, $filter:expr, $at:expr) => {
        diesel::update(credential_identities::table)
            .filter($filter)
            .filter($crate::identities::living!($at))
            .set(credential_identities::ends_at.eq($crate::types::DbTime::from($at)))
            .execute($connection)
            .await?
    };
}

pub(crate) use {end_identities, living};

/// Whether key, secret, account and namespace allow an identity at `now`
/// (contract X9, X11).
fn justified(
    key: &PresentedKey,
    namespace: NamespaceId,
    (owner, status, removed_at): &NamespaceState,
    now: OffsetDateTime,
) -> bool {
    key.check(now).is_ok()
        && key.key.scopes.allow_kubernetes_exec(namespace)
        && *owner == DbUuid::from(key.key.account_id)
        && status == NamespaceStatus::Active.as_str()
        && removed_at.is_none()
}

fn stored(row: IdentityRow, now: OffsetDateTime) -> EnsureIdentity {
    if row.ends_at.is_some_and(|end| end <= DbTime::from(now)) {
        EnsureIdentity::Ending
    } else {
        EnsureIdentity::Ready(row.into())
    }
}

impl Database {
    /// What all that the identity stands on says about it.
    async fn standing_by_its_reasons(
        &self,
        id: IdentityId,
        now: OffsetDateTime,
    ) -> Result<IdentityStanding, StoreError> {
        let found: Option<Justification> = with_conn!(self, read, |c| Ok(justifications!()
            .filter(credential_identities::id.eq(DbUuid::from(id)))
            .filter(living!(now))
            .first(c)
            .await
            .optional()?))?;
        let Some((_, namespace, state, key)) = found else {
            return Ok(IdentityStanding::Ended);
        };
        let key = presented(key)?;
        if !justified(&key, namespace.into(), &state, now) {
            return Ok(IdentityStanding::Ended);
        }
        let ends_at = key.ends_at();
        Ok(IdentityStanding::Living { ends_at })
    }
}

#[async_trait]
impl IdentityRepository for Database {
    async fn ensure(
        &self,
        wanted: &CredentialIdentity,
        now: OffsetDateTime,
    ) -> Result<EnsureIdentity, StoreError> {
        let secret = DbUuid::from(wanted.secret_id);
        let namespace = DbUuid::from(wanted.namespace_id);
        let same = || {
            credential_identities::table
                .filter(credential_identities::secret_id.eq(secret))
                .filter(credential_identities::namespace_id.eq(namespace))
        };
        let found = with_conn!(self, read, |c| Ok(same()
            .select(IdentityRow::as_select())
            .first(c)
            .await
            .optional()?))?;
        if let Some(row) = found {
            return Ok(stored(row, now));
        }
        let ensured = with_tx!(self, |c| {
            // Whatever ends identities holds the account as well: it comes
            // before this, and is seen, or after it, and sees this.
            if !hold_account!(c, wanted.account_id) {
                return Ok(EnsureIdentity::Refused);
            }
            let found = same()
                .select(IdentityRow::as_select())
                .first(c)
                .await
                .optional()?;
            if let Some(row) = found {
                return Ok(stored(row, now));
            }
            let key: Option<PresentedRow> = presented_keys!()
                .filter(key_secrets::id.eq(secret))
                .first(c)
                .await
                .optional()?;
            let state: Option<NamespaceState> = namespaces::table
                .filter(namespaces::id.eq(namespace))
                .select((
                    namespaces::account_id,
                    namespaces::status,
                    namespaces::removed_at,
                ))
                .first(c)
                .await
                .optional()?;
            let (Some(key), Some(state)) = (key, state) else {
                return Ok(EnsureIdentity::Refused);
            };
            let key = presented(key)?;
            let same_key = key.key.account_id == wanted.account_id && key.key.id == wanted.key_id;
            if !same_key || !justified(&key, wanted.namespace_id, &state, now) {
                return Ok(EnsureIdentity::Refused);
            }
            let mut row = IdentityRow::from(wanted);
            row.ends_at = db_time(key.ends_at());
            let row = diesel::insert_into(credential_identities::table)
                .values((row, credential_identities::created_at.eq(DbTime::from(now))))
                .returning(IdentityRow::as_returning())
                .get_result(c)
                .await?;
            Ok(EnsureIdentity::Ready(row.into()))
        })?;
        Ok(ensured)
    }

    async fn mark_bound(&self, id: IdentityId) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::update(credential_identities::table)
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .set(credential_identities::bound.eq(true))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn end(&self, id: IdentityId, now: OffsetDateTime) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            end_identities!(c, credential_identities::id.eq(DbUuid::from(id)), now);
            Ok(())
        })?;
        Ok(())
    }

    async fn due_ends(&self, now: OffsetDateTime) -> Result<Vec<DueWork>, StoreError> {
        self.ends_that_are_due(now).await
    }

    async fn claim_ended(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<CredentialIdentity>, StoreError> {
        self.claim_ends(cluster, tried, limit, now, until).await
    }

    async fn has_ended(&self, id: IdentityId, now: OffsetDateTime) -> Result<bool, StoreError> {
        let ended: i64 = with_conn!(self, read, |c| Ok(credential_identities::table
            .filter(credential_identities::id.eq(DbUuid::from(id)))
            .filter(credential_identities::ends_at.le(DbTime::from(now)))
            .count()
            .get_result(c)
            .await?))?;
        Ok(ended > 0)
    }

    async fn standing(
        &self,
        id: IdentityId,
        now: OffsetDateTime,
    ) -> Result<IdentityStanding, StoreError> {
        // The smallest query there is: each mint waits for it.
        let ends_at: Option<Option<DbTime>> =
            with_quick_conn!(self, |c| Ok(credential_identities::table
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .select(credential_identities::ends_at)
                .get_result(c)
                .await
                .optional()?))?;
        let Some(ends_at) = ends_at.map(domain_time) else {
            return Ok(IdentityStanding::Ended);
        };
        match ends_at {
            Some(end) if end <= now => Ok(IdentityStanding::Ended),
            // An end of this very time, or of a clock that is ahead of ours? Then
            // not the time counts, but what has been done.
            Some(end) if end <= now + CLOCKS_APART => self.standing_by_its_reasons(id, now).await,
            ends_at => Ok(IdentityStanding::Living { ends_at }),
        }
    }

    async fn remove(&self, id: IdentityId) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::delete(credential_identities::table)
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn mark_powerless(&self, id: IdentityId, now: OffsetDateTime) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            // The first time counts.
            diesel::update(credential_identities::table)
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .filter(credential_identities::powerless_at.is_null())
                .set(credential_identities::powerless_at.eq(DbTime::from(now)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn postpone(&self, id: IdentityId, retry_at: OffsetDateTime) -> Result<(), StoreError> {
        with_conn!(self, write, |c| {
            diesel::update(credential_identities::table)
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .set(credential_identities::claimed_until.eq(DbTime::from(retry_at)))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn count_in(&self, namespace: NamespaceId) -> Result<u64, StoreError> {
        let here = credential_identities::namespace_id.eq(DbUuid::from(namespace));
        let count: i64 = with_conn!(self, read, |c| Ok(credential_identities::table
            .filter(here)
            .filter(credential_identities::powerless_at.is_null())
            .count()
            .get_result(c)
            .await?))?;
        Ok(count.unsigned_abs())
    }

    async fn stored_among(
        &self,
        ids: &[IdentityId],
    ) -> Result<Vec<CredentialIdentity>, StoreError> {
        let mut stored = Vec::new();
        for ids in ids.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
            let rows: Vec<IdentityRow> =
                with_conn!(self, read, |c| Ok(credential_identities::table
                    .filter(
                        credential_identities::id.eq_any(ids.iter().map(|id| DbUuid::from(*id)))
                    )
                    .select(IdentityRow::as_select())
                    .load(c)
                    .await?))?;
            stored.extend(rows.into_iter().map(CredentialIdentity::from));
        }
        Ok(stored)
    }

    async fn end_unjustified(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let mut ended = 0;
        let mut after = DbUuid(uuid::Uuid::nil());
        loop {
            let rows: Vec<Justification> = with_conn!(self, read, |c| Ok(justifications!()
                .filter(credential_identities::id.gt(after))
                .filter(living!(now))
                .order(credential_identities::id)
                .limit(BATCH)
                .load(c)
                .await?))?;
            let Some(last) = rows.last() else {
                return Ok(ended);
            };
            after = last.0;
            for (id, namespace, state, key) in rows {
                if !justified(&presented(key)?, namespace.into(), &state, now) {
                    // One by one: no two rows are held at a time, so that nobody
                    // who holds others is waited for in a circle.
                    let count = with_conn!(self, write, |c| Ok(end_identities!(
                        c,
                        credential_identities::id.eq(id),
                        now
                    )))?;
                    ended += count as u64;
                }
            }
        }
    }
}
