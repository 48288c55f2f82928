//! The operator reads what a cluster asks with (contract T6).

use remotegpu_namespaces::{ClusterName, WebhookCredentialRepository, WebhookKey};
use remotegpu_primitives::StoreError;

use crate::{Operator, PlainClusterCredential, machinery::cluster_credentials::credential};

/// The credential of the cluster that counts today, the same each time. The installation's
/// key becomes `candidate` where there is none yet.
pub async fn read_webhook_credential(
    store: &dyn WebhookCredentialRepository,
    _operator: Operator,
    cluster: &ClusterName,
    candidate: WebhookKey,
) -> Result<PlainClusterCredential, StoreError> {
    let key = store.webhook_key(candidate).await?;
    let generations = store.list_generations().await?;
    let mut own = generations.iter().filter(|found| found.cluster == *cluster);
    let number = own.next().map_or(0, |own| own.number);
    Ok(credential(&key, cluster, number))
}
