//! A namespace's row.

use diesel::{Queryable, Selectable};
use remotegpu_namespaces::{
    ClusterName, KubernetesNamespaceName, Namespace, NamespaceName, NamespaceStatus,
};

use crate::{
    error::Failure,
    schema::namespaces,
    types::{DbTime, DbUuid},
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = namespaces)]
pub struct NamespaceRow {
    id: DbUuid,
    account_id: DbUuid,
    name: String,
    kubernetes_namespace: String,
    cluster: String,
    status: String,
    message: Option<String>,
    created_at: DbTime,
    updated_at: DbTime,
}

impl TryFrom<NamespaceRow> for Namespace {
    type Error = Failure;

    fn try_from(row: NamespaceRow) -> Result<Self, Failure> {
        let status = NamespaceStatus::from_stored(&row.status);
        Ok(Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            name: NamespaceName::from_stored(row.name),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(row.kubernetes_namespace),
            cluster: ClusterName::from_stored(row.cluster),
            status: status
                .ok_or_else(|| Failure::Corrupt(format!("{} is no status", row.status)))?,
            message: row.message,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        })
    }
}

/// Reads several.
pub fn read(rows: Vec<NamespaceRow>) -> Result<Vec<Namespace>, Failure> {
    rows.into_iter().map(Namespace::try_from).collect()
}
