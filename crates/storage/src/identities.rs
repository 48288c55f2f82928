//! Cluster identities of their subjects: what must end, ends here.

mod ends;
mod idle;
pub(crate) mod reasons;
mod unjustified;

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, Selectable,
};
use reasons::{Justification, NamespaceState, justifications, justified};
use remotegpu_namespaces::{
    ClusterAccess, ClusterName, CredentialIdentity, DueWork, EnsureIdentity, IdentityRepository,
    IdentityStanding, IdentitySubject, KubernetesNamespaceName, Tried,
};
use remotegpu_primitives::{IdentityId, NamespaceId, StoreError};
use time::{Duration, OffsetDateTime};

use crate::{
    Database,
    accounts::hold_account,
    api_keys::{ApiKeyRow, PresentedRow, presented, presented_keys},
    connection::{with_conn, with_quick_conn, with_tx},
    either::{Columns, RunQuery},
    schema::{accounts, api_keys, credential_identities, key_secrets, memberships, namespaces},
    types::{DbTime, DbUuid, db_time, domain_time, time_or},
    uses::MINTS,
};

/// How far the clocks of two instances may be apart. An end bears the time of the act
/// that it is of, and what was done a moment ago elsewhere may lie ahead here.
const CLOCKS_APART: Duration = Duration::MINUTE;
/// How many identities are judged at once, and how many are asked for.
const BATCH: i64 = 200;
/// Of how many identifiers it is asked at once whether they are known.
const ASKED_AT_ONCE: usize = 1000;

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
    cluster_role: Option<String>,
}

/// As it is stored: absent for what all had when there was but one.
fn stored_role(access: ClusterAccess) -> Option<String> {
    match access {
        ClusterAccess::Tenant => None,
        ClusterAccess::Viewer => Some(access.cluster_role().to_owned()),
    }
}

/// Reads it back. Of a role that a newer version wrote, the least.
fn access_of(role: Option<&str>) -> ClusterAccess {
    role.map_or(ClusterAccess::Tenant, |role| {
        ClusterAccess::from_cluster_role(role).unwrap_or(ClusterAccess::Viewer)
    })
}

impl From<&CredentialIdentity> for IdentityRow {
    fn from(identity: &CredentialIdentity) -> Self {
        let IdentitySubject::KeySecret { key_id, secret_id } = identity.subject;
        Self {
            id: identity.id.into(),
            secret_id: secret_id.into(),
            key_id: key_id.into(),
            account_id: identity.account_id.into(),
            namespace_id: identity.namespace_id.into(),
            kubernetes_namespace: identity.kubernetes_namespace.as_str().to_owned(),
            cluster: identity.cluster.as_str().to_owned(),
            bound: identity.bound,
            ends_at: db_time(identity.ends_at),
            cluster_role: stored_role(identity.access),
        }
    }
}

impl From<IdentityRow> for CredentialIdentity {
    fn from(row: IdentityRow) -> Self {
        Self {
            id: row.id.into(),
            subject: IdentitySubject::KeySecret {
                key_id: row.key_id.into(),
                secret_id: row.secret_id.into(),
            },
            account_id: row.account_id.into(),
            namespace_id: row.namespace_id.into(),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(row.kubernetes_namespace),
            cluster: ClusterName::from_stored(row.cluster),
            access: access_of(row.cluster_role.as_deref()),
            bound: row.bound,
            ends_at: domain_time(row.ends_at),
        }
    }
}

pub(crate) use ends::{end_identities, living};

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
        last_minted_at: OffsetDateTime,
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
        let key = presented(key);
        if !justified(&key, namespace.into(), &state, now) {
            return Ok(IdentityStanding::Ended);
        }
        Ok(IdentityStanding::Living {
            ends_at: key.ends_at(),
            last_minted_at,
        })
    }
}

#[async_trait]
impl IdentityRepository for Database {
    async fn ensure(
        &self,
        wanted: &CredentialIdentity,
        now: OffsetDateTime,
    ) -> Result<EnsureIdentity, StoreError> {
        let IdentitySubject::KeySecret { key_id, secret_id } = wanted.subject;
        let secret = DbUuid::from(secret_id);
        let namespace = DbUuid::from(wanted.namespace_id);
        let same = || {
            credential_identities::table
                .filter(credential_identities::secret_id.eq(secret))
                .filter(credential_identities::namespace_id.eq(namespace))
        };
        let found = with_conn!(self, read, |c| Ok(same()
            .select(IdentityRow::columns())
            .first::<IdentityRow>(c)
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
                .select(IdentityRow::columns())
                .first::<IdentityRow>(c)
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
            let access = key.0.access();
            let key = presented(key);
            let same_key = key.key.account_id == wanted.account_id && key.key.id == key_id;
            if !same_key || !justified(&key, wanted.namespace_id, &state, now) {
                return Ok(EnsureIdentity::Refused);
            }
            let mut row = IdentityRow::from(wanted);
            row.ends_at = db_time(key.ends_at());
            row.cluster_role = stored_role(access);
            let row = diesel::insert_into(credential_identities::table)
                .values((row, credential_identities::created_at.eq(DbTime::from(now))))
                .returning(IdentityRow::columns())
                .get_result::<IdentityRow>(c)
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
        let found: Option<(Option<DbTime>, DbTime)> =
            with_quick_conn!(self, |c| Ok(credential_identities::table
                .filter(credential_identities::id.eq(DbUuid::from(id)))
                .select((
                    credential_identities::ends_at,
                    time_or(
                        credential_identities::last_minted_at,
                        credential_identities::created_at,
                    ),
                ))
                .get_result(c)
                .await
                .optional()?))?;
        let Some((ends_at, last_minted_at)) = found else {
            return Ok(IdentityStanding::Ended);
        };
        let last_minted_at = last_minted_at.into();
        match domain_time(ends_at) {
            Some(end) if end <= now => Ok(IdentityStanding::Ended),
            // An end of this very time, or of a clock that is ahead of ours? Then
            // not the time counts, but what has been done.
            Some(end) if end <= now + CLOCKS_APART => {
                self.standing_by_its_reasons(id, last_minted_at, now).await
            }
            ends_at => Ok(IdentityStanding::Living {
                ends_at,
                last_minted_at,
            }),
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
                    .select(IdentityRow::columns())
                    .load::<IdentityRow>(c)
                    .await?))?;
            stored.extend(rows.into_iter().map(CredentialIdentity::from));
        }
        Ok(stored)
    }

    async fn known_among(&self, ids: &[IdentityId]) -> Result<Vec<IdentityId>, StoreError> {
        let mut known = Vec::new();
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let ids = ids.iter().map(|id| DbUuid::from(*id));
            let found: Vec<DbUuid> = with_conn!(self, read, |c| Ok(credential_identities::table
                .filter(credential_identities::id.eq_any(ids.clone()))
                .select(credential_identities::id)
                .load(c)
                .await?))?;
            known.extend(found.into_iter().map(IdentityId::from));
        }
        Ok(known)
    }

    async fn end_unjustified(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        self.end_unjustified_slice(now).await
    }

    async fn note_mint(&self, id: IdentityId, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.note_identity_mint(id, now).await
    }

    async fn record_mints(&self, mints: &[(IdentityId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.record_times(MINTS, mints).await
    }

    async fn end_idle(
        &self,
        before: OffsetDateTime,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        self.end_idle_identities(before, limit, now).await
    }
}
