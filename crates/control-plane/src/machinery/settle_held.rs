//! What the operator wants of held namespaces is done (contract R8).

use std::time::Duration;

use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, HeldNamespace, HeldNamespaceRepository, LocatedNamespace,
    LocatedObject, NamespaceProvisioner, NamespaceRepository, WantedOfHeld,
};
use remotegpu_primitives::StoreError;

use crate::{SweepError, machinery::repair_namespace::repair_namespace};

/// How often it is looked for, and how long a round that failed is rested from.
const EVERY: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(5);

/// What that needs.
#[derive(Clone, Copy)]
pub struct HeldPorts<'a> {
    /// What is wanted.
    pub held: &'a dyn HeldNamespaceRepository,
    /// The rows of what is missing.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Where this database acts.
    pub clusters: &'a dyn ClusterDirectory,
    /// Where it is done.
    pub provisioner: &'a dyn NamespaceProvisioner,
}

/// Does what is wanted again and again, until it is dropped. Whichever instance comes
/// first does it; that two do is no harm, because each step is one that may be repeated.
pub async fn keep_held_settled(ports: HeldPorts<'_>) {
    loop {
        let pause = match settle_held(ports).await {
            Ok(true) => EVERY,
            Ok(false) => REST,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is wanted of held namespaces was not looked for"
                );
                REST
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Does once what is wanted; answers whether all of it could be done.
pub async fn settle_held(ports: HeldPorts<'_>) -> Result<bool, StoreError> {
    let mut all = true;
    for held in ports.held.list_wanted().await? {
        if !ports.clusters.claim(&held.cluster).may_remove() {
            continue;
        }
        match settle(ports, &held).await {
            Ok(()) => ports.held.settle_held(&held).await?,
            Err(SweepError::Store(error)) => return Err(error),
            Err(SweepError::Cluster(error)) => {
                all = false;
                tracing::warn!(
                    cluster = %held.cluster,
                    kubernetes_namespace = %held.kubernetes_namespace,
                    wanted = held.wanted.map(WantedOfHeld::as_str),
                    error = &error as &dyn std::error::Error,
                    "what is wanted of a held namespace could not be done"
                );
            }
        }
    }
    Ok(all)
}

async fn settle(ports: HeldPorts<'_>, held: &HeldNamespace) -> Result<(), SweepError> {
    match held.wanted {
        Some(WantedOfHeld::Delete) => Ok(discard(ports, held).await?),
        Some(WantedOfHeld::Restore) => {
            let rows = ports.namespaces.find_among(&[held.namespace_id]).await?;
            for row in rows.iter().filter(|row| row.cluster == held.cluster) {
                repair_namespace(ports.namespaces, ports.provisioner, row).await?;
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// By its UID, so that nothing goes but the very namespace that the operator saw.
async fn discard(ports: HeldPorts<'_>, held: &HeldNamespace) -> Result<(), ClusterError> {
    let Some(uid) = &held.uid else {
        return Ok(());
    };
    let located = LocatedNamespace {
        id: Some(held.namespace_id),
        account_id: held.account_id,
        cluster: held.cluster.clone(),
        object: LocatedObject {
            namespace: String::new(),
            name: held.kubernetes_namespace.as_str().to_owned(),
            uid: uid.clone(),
        },
        is_whole: false,
        is_going: false,
    };
    ports.provisioner.discard(&located).await
}
