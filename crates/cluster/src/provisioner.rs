//! Namespaces in clusters (contract N4, N5).

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use http::StatusCode;
use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Resource;
use remotegpu_namespaces::{
    ClusterError, ClusterName, LocatedNamespace, Namespace, NamespaceProvisioner, Removal,
};
use serde_json::{Value, json};

use crate::{
    KubeClusters,
    baseline_objects::{Baseline, Part, owner_labels},
    cluster::{KubeCluster, has_labels},
    labels::{
        FIELD_MANAGER, NAMESPACE_ID, PRIORITY_CLASSES, SCHEDULERS, TOLERATIONS, is_going, label,
        metadata,
    },
    namespace_deletion::held_by,
    request::{Ask, Fault, item},
    survey::survey,
};

/// How often a name that was taken a moment ago is looked at again.
const ATTEMPTS: usize = 3;
/// How often a new namespace is looked at until it is active, and each object in it
/// until it is in force.
const LOOKS: usize = 30;
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[async_trait]
impl NamespaceProvisioner for KubeClusters {
    async fn provision(&self, namespace: &Namespace) -> Result<(), ClusterError> {
        let cluster = self.cluster(&namespace.cluster)?;
        cluster
            .bounded(async {
                let wanted = manifest(namespace, &self.baseline);
                let standing = claim(cluster, namespace, wanted).await?;
                wait_until_active(cluster, namespace, standing).await?;
                let parts = self.baseline.parts.iter();
                let settling = parts.map(|part| settle(cluster, namespace, part));
                try_join_all(settling).await.map(drop)
            })
            .await
    }

    async fn remove(&self, namespace: &Namespace) -> Result<Removal, ClusterError> {
        let cluster = self.cluster(&namespace.cluster)?;
        cluster
            .bounded(async {
                let Some(found) = find(cluster, namespace).await? else {
                    return Ok(Removal::Gone);
                };
                // Ours was never made, or has gone and the name is somebody else's.
                if !is_ours(&found, namespace) {
                    return Ok(Removal::Gone);
                }
                if !is_going(&found) {
                    let path = path(namespace)?;
                    let act = "removing the namespace";
                    cluster.delete(path, metadata(&found, "uid"), act).await?;
                }
                let left = find(cluster, namespace).await?;
                let left = left.filter(|found| is_ours(found, namespace));
                Ok(left.map_or(Removal::Gone, |found| Removal::Going {
                    held_by: held_by(&found),
                }))
            })
            .await
    }

    async fn survey(&self, name: &ClusterName) -> Result<Vec<LocatedNamespace>, ClusterError> {
        survey(name, self.cluster(name)?, &self.baseline).await
    }

    async fn discard(&self, located: &LocatedNamespace) -> Result<(), ClusterError> {
        let cluster = self.cluster(&located.cluster)?;
        let path = item(&KubeNamespace::url_path(&(), None), &located.object.name)?;
        let uid = &located.object.uid;
        cluster
            .bounded(cluster.delete(path, uid, "removing the namespace"))
            .await
    }
}

/// Makes the namespace, or finds it made by us, with all our labels.
async fn claim(
    cluster: &KubeCluster,
    namespace: &Namespace,
    wanted: Value,
) -> Result<Value, ClusterError> {
    for _ in 0..ATTEMPTS {
        let Some(found) = find(cluster, namespace).await? else {
            // Not by apply, which would take over what came in between.
            let collection = KubeNamespace::url_path(&(), None);
            let path = format!("{collection}?fieldManager={FIELD_MANAGER}");
            let answer = cluster.ask(&Ask::post(path, &wanted)).await?;
            if answer.status == StatusCode::CONFLICT {
                continue;
            }
            return answer.object("making the namespace");
        };
        if !is_ours(&found, namespace) {
            return Err(ClusterError::Refused {
                reason: format!(
                    "a namespace {} stands there already and is not this one",
                    namespace.kubernetes_namespace
                ),
            });
        }
        if is_going(&found) {
            return Err(ClusterError::Refused {
                reason: "the namespace was deleted in the cluster and is still going".to_owned(),
            });
        }
        if has_labels(&found, &wanted) && allows_the_same(&found, &wanted) {
            return Ok(found);
        }
        return correct(cluster, namespace, wanted, &found).await;
    }
    Err(Fault::Unsettled.into())
}

/// Gives our namespace its labels again, only while it is this very one.
async fn correct(
    cluster: &KubeCluster,
    namespace: &Namespace,
    mut wanted: Value,
    found: &Value,
) -> Result<Value, ClusterError> {
    wanted["metadata"]["uid"] = found["metadata"]["uid"].clone();
    let answer = cluster.ask(&Ask::apply(&path(namespace)?, &wanted)).await?;
    answer.object("correcting the namespace")
}

async fn wait_until_active(
    cluster: &KubeCluster,
    namespace: &Namespace,
    mut standing: Value,
) -> Result<(), ClusterError> {
    for _ in 0..LOOKS {
        if standing["status"]["phase"] == "Active" {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let found = find(cluster, namespace).await?;
        standing = found.ok_or(Fault::Unsettled)?;
    }
    Err(ClusterError::Unfinished {
        what: "the namespace is not active yet",
    })
}

/// Has one object of the baseline stand and be in force.
async fn settle(
    cluster: &KubeCluster,
    namespace: &Namespace,
    part: &Part,
) -> Result<(), ClusterError> {
    for _ in 0..LOOKS {
        if part.ensure(cluster, namespace).await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(ClusterError::Unfinished {
        what: "the namespace's quotas do not count yet",
    })
}

fn manifest(namespace: &Namespace, baseline: &Baseline) -> Value {
    let id = namespace.id.to_string();
    let owner = owner_labels(&id, &namespace.account_id.to_string());
    let mut annotations = baseline.placement.annotations();
    // Who takes the label off does not take the namespace from us.
    annotations.insert(NAMESPACE_ID.to_owned(), id);
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace.kubernetes_namespace.as_str(),
            "labels": baseline.namespace_labels(owner),
            "annotations": annotations,
        },
    })
}

/// Whether its pods may ask of the scheduler what they should, and no more.
fn allows_the_same(found: &Value, wanted: &Value) -> bool {
    let of = |object: &Value, name: &str| {
        let annotation = object["metadata"]["annotations"][name].as_str();
        annotation.unwrap_or_default().to_owned()
    };
    [PRIORITY_CLASSES, TOLERATIONS, SCHEDULERS]
        .iter()
        .all(|name| of(found, name) == of(wanted, name))
}

async fn find(cluster: &KubeCluster, namespace: &Namespace) -> Result<Option<Value>, ClusterError> {
    cluster
        .find(path(namespace)?, "reading the namespace")
        .await
}

fn path(namespace: &Namespace) -> Result<String, ClusterError> {
    let collection = KubeNamespace::url_path(&(), None);
    item(&collection, namespace.kubernetes_namespace.as_str())
}

fn is_ours(found: &Value, namespace: &Namespace) -> bool {
    let annotation = found["metadata"]["annotations"][NAMESPACE_ID].as_str();
    let owner = label(found, NAMESPACE_ID).or(annotation);
    owner == Some(namespace.id.to_string().as_str())
}
