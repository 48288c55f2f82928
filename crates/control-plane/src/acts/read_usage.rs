//! A person looks at how much of its quotas a namespace uses (contract H2).

use remotegpu_namespaces::{ClusterError, Namespace, QuotaUse, UsageReader};

use crate::{Caller, Read};

/// What the namespace's cluster counts in it; nothing of another account's namespace.
pub async fn read_usage(
    usage: &dyn UsageReader,
    caller: &Caller<Read>,
    namespace: &Namespace,
) -> Result<Vec<QuotaUse>, ClusterError> {
    if namespace.account_id != caller.account().id {
        return Ok(Vec::new());
    }
    usage.usage(namespace).await
}
