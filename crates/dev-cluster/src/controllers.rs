//! What happens by itself: owned objects go with their owners, namespaces empty themselves,
//! deployments get replica sets and these get pods.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, DeleteOptions, Write};
use crate::error::ApiResult;
use crate::meta::text;
use crate::rbac::User;
use crate::store::{Change, Key, owner_uids};
use crate::{kinds, workloads};

/// When work that failed, such as a pod that was refused, is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Follows the changes until the cluster stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let mut news = cluster.store.subscribe();
    let mut stopping = cluster.stopping.subscribe();
    let (mut changes, mut seen) = cluster.store.with(|objects| (objects.all(), objects.version()));
    let mut failed = BTreeSet::new();
    loop {
        let mut work = std::mem::take(&mut failed);
        for change in &changes {
            follow(&cluster, change, &mut work);
        }
        for key in work {
            let done = match key.plural.as_str() {
                "namespaces" => empty_namespace(&cluster, &key.name),
                "deployments" => workloads::sync_deployment(&cluster, &key),
                _ => workloads::sync_replica_set(&cluster, &key),
            };
            if let Err(error) = done {
                tracing::debug!(?key, message = error.message(), "a controller of the development cluster failed");
                failed.insert(key);
            }
        }
        tokio::select! {
            arrived = news.changed() => if arrived.is_err() { return },
            () = tokio::time::sleep(RETRY), if !failed.is_empty() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        (changes, seen) = cluster
            .store
            .with(|objects| (objects.changes_after(seen).unwrap_or_else(|| objects.all()), objects.version()));
    }
}

/// Does what a change asks for at once, and notes what has to be looked at after it.
fn follow(cluster: &Cluster, change: &Change, work: &mut BTreeSet<Key>) {
    let Some(object) = change.after.as_ref().or(change.before.as_ref()) else {
        return;
    };
    let deleted = change.after.is_none();
    let Key { plural, namespace, .. } = &change.key;
    if deleted {
        collect_dependents(cluster, text(object, "/metadata/uid"));
        work.insert(Key::new("namespaces", "", namespace));
    } else if owner_uids(object).next().is_some() {
        delete_if_orphan(cluster, &change.key);
    }
    match plural.as_str() {
        "namespaces" | "deployments" | "replicasets" if !deleted => {
            work.insert(change.key.clone());
        }
        _ => {}
    }
    if matches!(plural.as_str(), "pods" | "replicasets") {
        let owners = object["metadata"]["ownerReferences"].as_array();
        for owner in owners.into_iter().flatten() {
            let plural = match text(owner, "/kind") {
                "Deployment" => "deployments",
                "ReplicaSet" => "replicasets",
                _ => continue,
            };
            work.insert(Key::new(plural, namespace, text(owner, "/name")));
        }
    }
}

fn collect_dependents(cluster: &Cluster, uid: &str) {
    for key in cluster.store.with(|objects| objects.dependents(uid)) {
        delete_if_orphan(cluster, &key);
    }
}

fn delete_if_orphan(cluster: &Cluster, key: &Key) {
    let uid = cluster.store.with(|objects| {
        let object = objects.get(key)?;
        let orphan = owner_uids(&object).all(|owner| !objects.uid_exists(owner));
        orphan.then(|| text(&object, "/metadata/uid").to_owned())
    });
    if uid.is_some() {
        let options = DeleteOptions { uid, ..DeleteOptions::default() };
        // A second deletion of the same object has nothing left to do.
        drop(cluster.delete(kinds::by_plural(&key.plural), key, &options));
    }
}

/// Empties a namespace that is going, and lets it go; keeps a living one furnished.
fn empty_namespace(cluster: &Cluster, name: &str) -> ApiResult<()> {
    let key = Key::new("namespaces", "", name);
    let Some(namespace) = cluster.store.with(|objects| objects.get(&key)) else {
        return Ok(());
    };
    if text(&namespace, "/metadata/deletionTimestamp").is_empty() {
        return cluster.store.with(|objects| cluster.furnish_namespace(objects, name));
    }
    for key in cluster.store.with(|objects| objects.keys_in_namespace(name)) {
        // The object may have gone in the meantime.
        drop(cluster.delete(kinds::by_plural(&key.plural), &key, &DeleteOptions::default()));
    }
    cluster.store.with(|objects| {
        if objects.keys_in_namespace(name).is_empty() {
            objects.remove(&key)?;
        }
        Ok(())
    })
}

/// Reports something about an object, as `kubectl describe` shows it.
pub(crate) fn emit_event(cluster: &Cluster, about: &Value, reason: &str, message: &str) {
    let namespace = text(about, "/metadata/namespace");
    let now = crate::meta::now();
    let event = json!({
        "metadata": {"generateName": format!("{}.", text(about, "/metadata/name"))},
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"], "namespace": namespace,
            "name": about["metadata"]["name"], "uid": about["metadata"]["uid"],
        },
        "type": "Warning", "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "dev-cluster"},
        "reportingComponent": "dev-cluster",
    });
    let user = controller("event");
    let write = Write { user: &user, dry_run: false, subresource: "" };
    // An event is a courtesy: the namespace may be going.
    drop(cluster.create(kinds::by_plural("events"), namespace, event, &write));
}

/// The account under which Kubernetes' own controllers act.
pub(crate) fn controller(name: &str) -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    let mut user = User::named(&format!("system:serviceaccount:kube-system:{name}-controller"), &groups);
    user.uid = format!("dev-cluster-{name}-controller");
    user
}
