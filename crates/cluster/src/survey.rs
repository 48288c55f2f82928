//! All tenants' namespaces of a cluster at once, and whether each holds the
//! baseline: one list for each kind of object, so that ten thousand namespaces
//! cost no ten thousand questions.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Resource;
use remotegpu_namespaces::{ClusterError, ClusterName, LocatedNamespace, LocatedObject};

use crate::{
    baseline_objects::{Baseline, Found, Part, owner_labels},
    cluster::KubeCluster,
    labels::{ACCOUNT_ID, NAMESPACE_ID},
    listing::{Listing, list},
    request::item,
};

/// The longest name that Kubernetes gives a namespace.
const LONGEST_NAME: usize = 63;
const ACT: &str = "listing the namespaces";

struct Standing {
    id: String,
    account: String,
    uid: String,
    is_labelled: bool,
    is_going: bool,
    /// How many objects of the baseline are in it and as they should be.
    parts: usize,
}

/// What the cluster holds under our label.
pub(crate) async fn survey(
    name: &ClusterName,
    cluster: &KubeCluster,
    baseline: &Baseline,
) -> Result<Vec<LocatedNamespace>, ClusterError> {
    let mut standing = namespaces(cluster, baseline).await?;
    for part in &baseline.parts {
        for namespace in holding(cluster, part, &standing).await? {
            if let Some(standing) = standing.get_mut(&namespace) {
                standing.parts += 1;
            }
        }
    }
    let located = standing
        .into_iter()
        .map(|(namespace, standing)| LocatedNamespace {
            id: standing.id.parse().ok(),
            account_id: standing.account.parse().ok(),
            cluster: name.clone(),
            object: LocatedObject {
                namespace: String::new(),
                name: namespace,
                uid: standing.uid,
            },
            is_whole: standing.is_labelled
                && !standing.is_going
                && standing.parts == baseline.parts.len(),
            is_going: standing.is_going,
        });
    Ok(located.collect())
}

async fn namespaces(
    cluster: &KubeCluster,
    baseline: &Baseline,
) -> Result<HashMap<String, Standing>, ClusterError> {
    let collection = KubeNamespace::url_path(&(), None);
    let selector = format!("labelSelector={NAMESPACE_ID}");
    let read = |found: Found| {
        // It will be part of paths and of lines in the log.
        let name = &found.metadata.name;
        item("", name).ok().filter(|_| name.len() <= LONGEST_NAME)?;
        let label = |name| found.metadata.labels.get(name).cloned().unwrap_or_default();
        let (id, account) = (label(NAMESPACE_ID), label(ACCOUNT_ID));
        let wanted = baseline.namespace_labels(owner_labels(&id, &account));
        let standing = Standing {
            is_labelled: found.has_labels(&wanted) && found.allows(&baseline.placement),
            is_going: found.is_going(),
            id,
            account,
            uid: found.metadata.uid,
            parts: 0,
        };
        Some((found.metadata.name, standing))
    };
    let listing = Listing {
        collection: &collection,
        selector: &selector,
        act: ACT,
    };
    let found = list(cluster, listing, read).await?;
    Ok(found.into_iter().collect())
}

/// The namespaces in which this object of the baseline is as it should be.
async fn holding(
    cluster: &KubeCluster,
    part: &Part,
    standing: &HashMap<String, Standing>,
) -> Result<Vec<String>, ClusterError> {
    // Found by name, because the right to list holds for this name alone.
    let selector = format!("fieldSelector=metadata.name%3D{}", part.name);
    let read = |found: Found| {
        let namespace = standing.get(&found.metadata.namespace)?;
        let wanted: BTreeMap<_, _> = owner_labels(&namespace.id, &namespace.account);
        let whole = part.is_whole(&found, &wanted);
        whole.then_some(found.metadata.namespace)
    };
    let listing = Listing {
        collection: &part.collection(None),
        selector: &selector,
        act: ACT,
    };
    list(cluster, listing, read).await
}
