//! The operator gives a cluster another credential to ask with (contract T6).

use remotegpu_namespaces::{ClusterName, WebhookCredentialRepository, WebhookKey};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::{Operator, PlainClusterCredential, machinery::cluster_credentials::credential};

/// Has the cluster's next credential count. The one before counts as well for `grace`,
/// within which the API server has to get the new one.
pub async fn rotate_webhook_credential(
    store: &dyn WebhookCredentialRepository,
    _operator: Operator,
    cluster: &ClusterName,
    grace: Duration,
    candidate: WebhookKey,
    now: OffsetDateTime,
) -> Result<PlainClusterCredential, StoreError> {
    let key = store.webhook_key(candidate).await?;
    let generation = store
        .rotate_webhook_credential(cluster, now + grace)
        .await?;
    Ok(credential(&key, cluster, generation.number))
}
