//! A namespace's row.

use diesel::{Queryable, Selectable};
use remotegpu_namespaces::{ClusterName, KubernetesNamespaceName, Namespace, NamespaceName};
use remotegpu_primitives::Word;

use crate::{
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

impl From<NamespaceRow> for Namespace {
    fn from(row: NamespaceRow) -> Self {
        Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            name: NamespaceName::from_stored(row.name),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(row.kubernetes_namespace),
            cluster: ClusterName::from_stored(row.cluster),
            status: Word::from_stored(row.status),
            message: row.message,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// Reads several.
pub fn read(rows: Vec<NamespaceRow>) -> Vec<Namespace> {
    rows.into_iter().map(Namespace::from).collect()
}
