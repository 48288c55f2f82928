//! What clusters have to do, and who does it: claimed row by row (contract R10).

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl};
use remotegpu_namespaces::{ClusterName, CredentialIdentity, DueWork, Namespace, Tried};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{
    Database,
    connection::with_conn,
    either::{Columns, RunQuery, on_each},
    identities::IdentityRow,
    namespaces::{
        known_words,
        rows::{NamespaceRow, read},
    },
    schema::{credential_identities, namespaces},
    types::{DbTime, DbUuid},
};

/// Identities that have ended and that nobody works on.
macro_rules! unclaimed {
    ($now:expr) => {
        credential_identities::ends_at.le($now).and(
            credential_identities::claimed_until
                .is_null()
                .or(credential_identities::claimed_until.le($now)),
        )
    };
}

/// Namespaces whose work nobody has taken up since it was asked for: whoever claims or
/// postpones it moves its time beyond that of the last change.
macro_rules! never_tried {
    () => {
        namespaces::next_attempt_at.le(namespaces::updated_at.nullable())
    };
}

/// What a cluster has to do, as it was counted: whether it is new.
fn due_work((cluster, never): (String, bool)) -> DueWork {
    DueWork {
        key: ClusterName::from_stored(cluster),
        tried: if never { Tried::Never } else { Tried::Before },
    }
}

impl Database {
    pub(crate) async fn ends_that_are_due(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<DueWork>, StoreError> {
        let never = credential_identities::claimed_until.is_null();
        let due: Vec<(String, bool)> =
            with_conn!(self, read, |c| Ok(credential_identities::table
                .filter(unclaimed!(DbTime::from(now)))
                .select((credential_identities::cluster, never))
                .distinct()
                .load(c)
                .await?))?;
        Ok(due.into_iter().map(due_work).collect())
    }

    pub(crate) async fn claim_ends(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<CredentialIdentity>, StoreError> {
        let now = DbTime::from(now);
        // Looked for by a reader, so that the many times when nothing is due
        // disturb no writer.
        let ids: Vec<DbUuid> = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut due = credential_identities::table
                .filter(unclaimed!(now))
                .filter(credential_identities::cluster.eq(cluster.as_str()))
                .limit(i64::from(limit))
                .select(credential_identities::id)
                .into_boxed();
            due = match tried {
                None => due.order(credential_identities::ends_at),
                Some(Tried::Never) => due
                    .filter(credential_identities::claimed_until.is_null())
                    .order(credential_identities::ends_at),
                Some(Tried::Before) => due
                    .filter(credential_identities::claimed_until.is_not_null())
                    .order(credential_identities::claimed_until),
            };
            Ok(diesel_async::RunQueryDsl::load(due, c).await?)
        }))?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // The condition once more: somebody may have claimed one meanwhile.
        let rows = with_conn!(self, write, |c| Ok(diesel::update(
            credential_identities::table
        )
        .filter(credential_identities::id.eq_any(ids))
        .filter(unclaimed!(now))
        .set(credential_identities::claimed_until.eq(DbTime::from(until)))
        .returning(IdentityRow::columns())
        .load::<IdentityRow>(c)
        .await?))?;
        Ok(rows.into_iter().map(CredentialIdentity::from).collect())
    }

    pub(crate) async fn namespaces_that_are_due(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<DueWork>, StoreError> {
        let due: Vec<(String, bool)> = with_conn!(self, read, |c| Ok(namespaces::table
            .filter(namespaces::next_attempt_at.le(DbTime::from(now)))
            .filter(namespaces::status.eq_any(known_words()))
            .select((namespaces::cluster, never_tried!().assume_not_null()))
            .distinct()
            .load(c)
            .await?))?;
        Ok(due.into_iter().map(due_work).collect())
    }

    pub(crate) async fn claim_due_namespaces(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<Namespace>, StoreError> {
        let now = DbTime::from(now);
        // Looked for by a reader, so that the many times when nothing is due
        // disturb no writer.
        let due: Vec<DbUuid> = with_conn!(self, read, |c| on_each!(c, |c| {
            let due = namespaces::table
                .filter(namespaces::next_attempt_at.le(now))
                .filter(namespaces::cluster.eq(cluster.as_str()))
                .filter(namespaces::status.eq_any(known_words()))
                .order(namespaces::next_attempt_at)
                .limit(i64::from(limit))
                .select(namespaces::id)
                .into_boxed();
            let due = match tried {
                None => due,
                Some(Tried::Never) => due.filter(never_tried!()),
                Some(Tried::Before) => due.filter(diesel::dsl::not(never_tried!())),
            };
            Ok(diesel_async::RunQueryDsl::load(due, c).await?)
        }))?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        // The condition once more: who claimed one meanwhile has moved its time.
        let rows = with_conn!(self, write, |c| Ok(diesel::update(namespaces::table)
            .filter(namespaces::id.eq_any(due))
            .filter(namespaces::next_attempt_at.le(now))
            .filter(namespaces::status.eq_any(known_words()))
            .set(namespaces::next_attempt_at.eq(DbTime::from(until)))
            .returning(NamespaceRow::columns())
            .load::<NamespaceRow>(c)
            .await?))?;
        Ok(read(rows))
    }
}
