//! Namespaces to which nothing is done until the operator says what (contract R8).

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable,
};
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent};
use remotegpu_namespaces::{
    AdoptNamespace, Adoption, ClusterName, HeldKind, HeldNamespace, HeldNamespaceRepository,
    KubernetesNamespaceName, NamespaceStatus, WantedOfHeld,
};
use remotegpu_primitives::{AccountId, Act, StoreError};

use crate::{
    Database,
    accounts::hold_account,
    audit_events::record,
    connection::{with_conn, with_tx},
    either::{Columns, RunQuery, on_each},
    schema::{accounts, held_namespaces, namespaces},
    types::{DbTime, DbUuid},
};

/// How many rows are asked for, or removed, at once.
const AT_ONCE: usize = 200;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = held_namespaces, treat_none_as_default_value = false)]
struct HeldRow {
    cluster: String,
    kubernetes_namespace: String,
    kind: String,
    uid: Option<String>,
    namespace_id: DbUuid,
    account_id: Option<DbUuid>,
    first_seen_at: DbTime,
    wanted: Option<String>,
}

impl From<&HeldNamespace> for HeldRow {
    fn from(held: &HeldNamespace) -> Self {
        Self {
            cluster: held.cluster.as_str().to_owned(),
            kubernetes_namespace: held.kubernetes_namespace.as_str().to_owned(),
            kind: held.kind.as_str().to_owned(),
            uid: held.uid.clone(),
            namespace_id: held.namespace_id.into(),
            account_id: held.account_id.map(DbUuid::from),
            first_seen_at: held.first_seen_at.into(),
            wanted: held.wanted.map(|wanted| wanted.as_str().to_owned()),
        }
    }
}

impl HeldRow {
    /// The domain's; nothing where a newer version wrote a kind that is unknown here:
    /// nobody acts on it.
    fn read(self) -> Option<HeldNamespace> {
        Some(HeldNamespace {
            kind: HeldKind::from_stored(&self.kind)?,
            cluster: ClusterName::from_stored(self.cluster),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(self.kubernetes_namespace),
            uid: self.uid,
            namespace_id: self.namespace_id.into(),
            account_id: self.account_id.map(AccountId::from),
            first_seen_at: self.first_seen_at.into(),
            wanted: self.wanted.as_deref().and_then(WantedOfHeld::from_stored),
        })
    }

    /// Whether it is the same thing, whenever it was seen and whatever is wanted of it.
    fn is_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.uid == other.uid
            && self.namespace_id == other.namespace_id
            && self.account_id == other.account_id
    }
}

fn read(rows: Vec<HeldRow>) -> Vec<HeldNamespace> {
    rows.into_iter().filter_map(HeldRow::read).collect()
}

/// The row of one of a cluster.
macro_rules! held {
    ($cluster:expr, $name:expr) => {
        held_namespaces::table
            .filter(held_namespaces::cluster.eq($cluster.as_str()))
            .filter(held_namespaces::kubernetes_namespace.eq($name.as_str()))
    };
}

#[async_trait]
impl HeldNamespaceRepository for Database {
    async fn list_held(
        &self,
        cluster: Option<&ClusterName>,
    ) -> Result<Vec<HeldNamespace>, StoreError> {
        let rows = with_conn!(self, read, |c| on_each!(c, |c| {
            let mut query = held_namespaces::table
                .select(HeldRow::columns())
                .order((
                    held_namespaces::cluster,
                    held_namespaces::kubernetes_namespace,
                ))
                .into_boxed();
            if let Some(cluster) = cluster {
                query = query.filter(held_namespaces::cluster.eq(cluster.as_str()));
            }
            Ok(diesel_async::RunQueryDsl::load(query, c).await?)
        }))?;
        Ok(read(rows))
    }

    async fn find_held(
        &self,
        cluster: &ClusterName,
        name: &KubernetesNamespaceName,
    ) -> Result<Option<HeldNamespace>, StoreError> {
        let row: Option<HeldRow> = with_conn!(self, read, |c| Ok(held!(cluster, name)
            .select(HeldRow::columns())
            .first::<HeldRow>(c)
            .await
            .optional()?))?;
        Ok(row.and_then(HeldRow::read))
    }

    async fn note_held(
        &self,
        cluster: &ClusterName,
        found: &[HeldNamespace],
    ) -> Result<(), StoreError> {
        let found: Vec<HeldRow> = found.iter().map(HeldRow::from).collect();
        // Nearly always nothing has changed, and then no writer is disturbed.
        let known: Vec<HeldRow> = with_conn!(self, read, |c| Ok(held_namespaces::table
            .filter(held_namespaces::cluster.eq(cluster.as_str()))
            .select(HeldRow::columns())
            .load::<HeldRow>(c)
            .await?))?;
        let known: HashMap<&str, &HeldRow> = known
            .iter()
            .map(|row| (row.kubernetes_namespace.as_str(), row))
            .collect();
        let names: HashSet<&str> = found
            .iter()
            .map(|row| row.kubernetes_namespace.as_str())
            .collect();
        let gone: Vec<&str> = known
            .keys()
            .copied()
            .filter(|name| !names.contains(name))
            .collect();
        let new: Vec<&HeldRow> = found
            .iter()
            .filter(|row| {
                let before = known.get(row.kubernetes_namespace.as_str());
                before.is_none_or(|before| !before.is_the_same(row))
            })
            .collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        let here = held_namespaces::cluster.eq(cluster.as_str());
        let held = HeldKind::Held.as_str();
        with_tx!(self, |c| {
            for names in gone.chunks(AT_ONCE) {
                let names = held_namespaces::kubernetes_namespace.eq_any(names.to_vec());
                diesel::delete(held_namespaces::table.filter(here).filter(names))
                    .execute(c)
                    .await?;
            }
            for rows in new.chunks(AT_ONCE) {
                let ids = rows.iter().map(|row| row.namespace_id);
                // Who was adopted since the sweep looked has a row by now.
                let adopted: Vec<DbUuid> = namespaces::table
                    .filter(namespaces::id.eq_any(ids))
                    .filter(namespaces::removed_at.is_null())
                    .select(namespaces::id)
                    .load(c)
                    .await?;
                for row in rows {
                    if row.kind == held && adopted.contains(&row.namespace_id) {
                        continue;
                    }
                    let name = &row.kubernetes_namespace;
                    diesel::delete(held!(cluster, name)).execute(c).await?;
                    diesel::insert_into(held_namespaces::table)
                        .values((*row).clone())
                        .on_conflict_do_nothing()
                        .execute(c)
                        .await?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn want_of_held(
        &self,
        held: &HeldNamespace,
        wanted: WantedOfHeld,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let (cluster, name) = (&held.cluster, &held.kubernetes_namespace);
        let action = match wanted {
            WantedOfHeld::Delete => AuditAction::NamespaceHeldDeleted,
            WantedOfHeld::Restore => AuditAction::NamespaceRestored,
        };
        let noted = with_tx!(self, |c| {
            let noted = diesel::update(held!(cluster, name))
                .filter(held_namespaces::kind.eq(wanted.of().as_str()))
                .filter(held_namespaces::namespace_id.eq(DbUuid::from(held.namespace_id)))
                .filter(held_namespaces::wanted.is_null())
                .set(held_namespaces::wanted.eq(wanted.as_str()))
                .execute(c)
                .await?;
            if noted == 0 {
                return Ok(false);
            }
            // The label may name an account that this database never had: then there is
            // nobody to tell.
            if let Some(account) = held.account_id {
                let known: i64 = accounts::table
                    .filter(accounts::id.eq(DbUuid::from(account)))
                    .count()
                    .get_result(c)
                    .await?;
                if known > 0 {
                    record!(c, event(act, account, held, action));
                }
            }
            Ok(true)
        })?;
        Ok(noted)
    }

    async fn list_wanted(&self) -> Result<Vec<HeldNamespace>, StoreError> {
        let rows = with_conn!(self, read, |c| Ok(held_namespaces::table
            .filter(held_namespaces::wanted.is_not_null())
            .select(HeldRow::columns())
            .load::<HeldRow>(c)
            .await?))?;
        Ok(read(rows))
    }

    async fn settle_held(&self, held: &HeldNamespace) -> Result<(), StoreError> {
        let (cluster, name) = (&held.cluster, &held.kubernetes_namespace);
        let wanted = held.wanted.map(WantedOfHeld::as_str);
        // What was done late settles no newer wish, of something else under that name.
        let same_uid = held_namespaces::uid.eq(held.uid.as_deref());
        with_conn!(self, write, |c| {
            diesel::delete(held!(cluster, name))
                .filter(held_namespaces::namespace_id.eq(DbUuid::from(held.namespace_id)))
                .filter(held_namespaces::wanted.eq(wanted))
                .filter(held_namespaces::uid.is_null().or(same_uid))
                .execute(c)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn adopt(&self, adoption: &Adoption, act: &Act) -> Result<AdoptNamespace, StoreError> {
        let (cluster, name) = (&adoption.cluster, &adoption.kubernetes_namespace);
        let account = DbUuid::from(adoption.account_id);
        let now = DbTime::from(act.at);
        let adopted = with_tx!(self, |c| {
            if !hold_account!(c, adoption.account_id) {
                return Ok(AdoptNamespace::AccountUnknown);
            }
            let taken: i64 = namespaces::table
                .filter(namespaces::account_id.eq(account))
                .filter(namespaces::removed_at.is_null())
                .filter(namespaces::name.eq(adoption.name.as_str()))
                .count()
                .get_result(c)
                .await?;
            if taken > 0 {
                return Ok(AdoptNamespace::NameTaken);
            }
            let same_id = namespaces::id.eq(DbUuid::from(adoption.namespace_id));
            let same_name = namespaces::kubernetes_namespace.eq(name.as_str());
            let of_old: i64 = namespaces::table
                .filter(same_id.or(same_name))
                .count()
                .get_result(c)
                .await?;
            if of_old > 0 {
                return Ok(AdoptNamespace::IdentifierTaken);
            }
            let held = diesel::delete(held!(cluster, name))
                .filter(held_namespaces::kind.eq(HeldKind::Held.as_str()))
                .filter(held_namespaces::namespace_id.eq(DbUuid::from(adoption.namespace_id)))
                .filter(held_namespaces::wanted.is_null())
                .returning(HeldRow::columns())
                .get_result::<HeldRow>(c)
                .await
                .optional()?;
            let Some(held) = held.and_then(HeldRow::read) else {
                return Ok(AdoptNamespace::NotHeld);
            };
            diesel::insert_into(namespaces::table)
                .values((
                    namespaces::id.eq(DbUuid::from(adoption.namespace_id)),
                    namespaces::account_id.eq(account),
                    namespaces::name.eq(adoption.name.as_str()),
                    namespaces::kubernetes_namespace.eq(name.as_str()),
                    namespaces::cluster.eq(cluster.as_str()),
                    namespaces::status.eq(NamespaceStatus::Provisioning.as_str()),
                    namespaces::created_at.eq(now),
                    namespaces::updated_at.eq(now),
                    namespaces::next_attempt_at.eq(now),
                ))
                .execute(c)
                .await?;
            let action = AuditAction::NamespaceAdopted;
            record!(c, event(act, adoption.account_id, &held, action));
            Ok(AdoptNamespace::Adopted)
        })?;
        Ok(adopted)
    }
}

fn event(
    act: &Act,
    account: AccountId,
    held: &HeldNamespace,
    action: AuditAction,
) -> NewAuditEvent {
    let subject = AuditSubject::Namespace(held.namespace_id);
    NewAuditEvent::new(act, account, action, subject).with(AuditDetails {
        name: Some(held.kubernetes_namespace.as_str().to_owned()),
        ..AuditDetails::default()
    })
}
