//! How much of their quotas namespaces use (contract H2).

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Resource;
use remotegpu_namespaces::{ClusterError, Namespace, QuotaUse, UsageReader};

use crate::{KubeClusters, baseline_objects::QUOTAS, request::item};

#[async_trait]
impl UsageReader for KubeClusters {
    async fn usage(&self, namespace: &Namespace) -> Result<Vec<QuotaUse>, ClusterError> {
        let cluster = self.cluster(&namespace.cluster)?;
        let collection =
            ResourceQuota::url_path(&(), Some(namespace.kubernetes_namespace.as_str()));
        let read = QUOTAS.map(async |name| {
            let path = item(&collection, name)?;
            cluster.find(path, "reading a quota").await
        });
        let found = cluster.bounded(try_join_all(read)).await?;
        let mut counts = BTreeMap::new();
        for quota in found.into_iter().flatten() {
            let status = &quota["status"];
            for (resource, used) in status["used"].as_object().into_iter().flatten() {
                let (Some(used), Some(hard)) = (used.as_str(), status["hard"][resource].as_str())
                else {
                    continue;
                };
                let counted = QuotaUse {
                    resource: resource.clone(),
                    used: used.to_owned(),
                    hard: hard.to_owned(),
                };
                // Pods are counted twice: all of them, and those that ask for nothing.
                counts.entry(resource.clone()).or_insert(counted);
            }
        }
        Ok(counts.into_values().collect())
    }
}
