//! Deployments and replica sets: objects that make other objects, and count them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::{Cluster, DeleteOptions, Write};
use crate::controllers::{controller, emit_event};
use crate::error::ApiResult;
use crate::kinds;
use crate::meta::{is_going, name, now, text};
use crate::store::{Key, owner_uids};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Pods made in one go; the next ones follow when these are stored.
const BURST: usize = 500;

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn owned(cluster: &Cluster, plural: &str, owner: &Value) -> Vec<Arc<Value>> {
    let (uid, namespace) = (text(owner, "/metadata/uid"), text(owner, "/metadata/namespace"));
    cluster.store.with(|objects| {
        let keys = objects.dependents(uid);
        let keys = keys.iter().filter(|key| key.plural == plural && key.namespace == namespace);
        keys.filter_map(|key| objects.get(key)).filter(|object| owner_uids(object).any(|owner| owner == uid)).collect()
    })
}

fn owner_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

fn key_of(plural: &str, object: &Value) -> Key {
    Key::new(plural, text(object, "/metadata/namespace"), name(object))
}

/// Numbers as Kubernetes writes them into a status: zero is left out.
fn counts(pairs: &[(&str, u64)]) -> Value {
    let pairs = pairs.iter().filter(|(_, count)| *count > 0);
    pairs.map(|(field, count)| ((*field).to_owned(), json!(count))).collect::<serde_json::Map<_, _>>().into()
}

/// A condition that keeps its time for as long as its status stays.
fn condition(old: &Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let old = old["status"]["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    let old = old.filter(|condition| condition["status"] == status);
    let since = |field: &str| old.map_or_else(|| json!(now()), |condition| condition[field].clone());
    let mut condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since("lastTransitionTime"),
    });
    if kind != "ReplicaFailure" {
        condition["lastUpdateTime"] = since("lastUpdateTime");
    }
    condition
}

fn put_status(cluster: &Cluster, key: &Key, status: &Value) -> ApiResult<()> {
    edit(cluster, key, "status", |object| object["status"].clone_from(status))
}

fn edit(cluster: &Cluster, key: &Key, subresource: &str, change: impl Fn(&mut Value)) -> ApiResult<()> {
    let write = Write { user: &controller("deployment"), dry_run: false, subresource };
    let changed = |current: &Value| {
        let mut object = current.clone();
        change(&mut object);
        Ok(object)
    };
    cluster.update(kinds::by_plural(&key.plural), key, &write, changed).map(drop)
}

/// A replica set's template as its deployment wrote it.
fn plain_template(replica_set: &Value) -> Value {
    let mut template = replica_set["spec"]["template"].clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    template
}

fn template_hash(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish()).chars().take(10).collect()
}

/// One step of a rollout: the current template's replica set has all replicas, others none.
pub(crate) fn sync_deployment(cluster: &Cluster, key: &Key) -> ApiResult<()> {
    let Some(deployment) = cluster.store.with(|objects| objects.get(key)) else {
        return Ok(());
    };
    if is_going(&deployment) {
        return Ok(());
    }
    let template = &deployment["spec"]["template"];
    let wanted = number(&deployment, "/spec/replicas");
    let revision = |set: &Value| -> u64 {
        set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut sets = owned(cluster, "replicasets", &deployment);
    sets.sort_by_key(|set| std::cmp::Reverse(revision(set)));
    let newest = sets.first().map_or(0, |set| revision(set));
    let current = sets.iter().position(|set| plain_template(set) == *template).map(|place| sets.remove(place));
    let current_revision = match &current {
        Some(set) if revision(set) == newest => newest,
        _ => newest + 1,
    };
    if let Some(set) = &current {
        edit(cluster, &key_of("replicasets", set), "", |set| {
            set["spec"]["replicas"] = json!(wanted);
            set["metadata"]["annotations"][REVISION] = json!(current_revision.to_string());
        })?;
    } else {
        create_replica_set(cluster, &deployment, current_revision)?;
    }
    let limit = usize::try_from(number(&deployment, "/spec/revisionHistoryLimit")).unwrap_or(usize::MAX);
    for (place, set) in sets.iter().enumerate() {
        let set_key = key_of("replicasets", set);
        if number(set, "/spec/replicas") > 0 {
            edit(cluster, &set_key, "", |set| set["spec"]["replicas"] = json!(0))?;
        } else if place >= limit && number(set, "/status/replicas") == 0 {
            drop(cluster.delete(kinds::by_plural("replicasets"), &set_key, &DeleteOptions::default()));
        }
    }
    edit(cluster, key, "", |deployment| {
        deployment["metadata"]["annotations"][REVISION] = json!(current_revision.to_string());
    })?;
    put_status(cluster, key, &deployment_status(&deployment, current.as_deref(), &sets))
}

fn create_replica_set(cluster: &Cluster, deployment: &Value, revision: u64) -> ApiResult<()> {
    let hash = template_hash(&deployment["spec"]["template"]);
    let mut template = deployment["spec"]["template"].clone();
    let mut selector = deployment["spec"]["selector"].clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    selector["matchLabels"][HASH] = json!(hash);
    let set = json!({
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "labels": template["metadata"]["labels"],
            "annotations": {
                REVISION: revision.to_string(),
                "deployment.kubernetes.io/desired-replicas": deployment["spec"]["replicas"].to_string(),
            },
            "ownerReferences": owner_reference(deployment),
        },
        "spec": {"replicas": deployment["spec"]["replicas"], "selector": selector, "template": template},
    });
    let user = controller("deployment");
    let write = Write { user: &user, dry_run: false, subresource: "" };
    let namespace = text(deployment, "/metadata/namespace");
    cluster.create(kinds::by_plural("replicasets"), namespace, set, &write).map(drop)
}

fn deployment_status(deployment: &Value, current: Option<&Value>, others: &[Arc<Value>]) -> Value {
    let sum = |field: &str| -> u64 {
        let pointer = format!("/status/{field}");
        current.into_iter().chain(others.iter().map(Arc::as_ref)).map(|set| number(set, &pointer)).sum()
    };
    let wanted = number(deployment, "/spec/replicas");
    let (replicas, available) = (sum("replicas"), sum("availableReplicas"));
    let mut status = counts(&[
        ("observedGeneration", number(deployment, "/metadata/generation")),
        ("replicas", replicas),
        ("updatedReplicas", current.map_or(0, |set| number(set, "/status/replicas"))),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", wanted.max(replicas).saturating_sub(available)),
    ]);
    let set_name = current.map(name).unwrap_or_default();
    let enough = available >= wanted - wanted / 4;
    let mut conditions = vec![if enough {
        let message = "Deployment has minimum availability.";
        condition(deployment, "Available", "True", "MinimumReplicasAvailable", message)
    } else {
        let message = "Deployment does not have minimum availability.";
        condition(deployment, "Available", "False", "MinimumReplicasUnavailable", message)
    }];
    conditions.push(if available >= wanted && replicas == wanted {
        let message = format!("ReplicaSet {set_name:?} has successfully progressed.");
        condition(deployment, "Progressing", "True", "NewReplicaSetAvailable", &message)
    } else {
        let message = format!("ReplicaSet {set_name:?} is progressing.");
        condition(deployment, "Progressing", "True", "ReplicaSetUpdated", &message)
    });
    // A replica set that cannot make its pods says so on its deployment, too.
    let failure = current.and_then(|set| set["status"]["conditions"].as_array()).into_iter().flatten();
    conditions.extend(failure.filter(|condition| condition["type"] == "ReplicaFailure").cloned());
    status["conditions"] = json!(conditions);
    status
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Makes or deletes pods until there are as many as the replica set wants.
pub(crate) fn sync_replica_set(cluster: &Cluster, key: &Key) -> ApiResult<()> {
    let Some(set) = cluster.store.with(|objects| objects.get(key)) else {
        return Ok(());
    };
    if is_going(&set) {
        return Ok(());
    }
    let mut pods = owned(cluster, "pods", &set);
    pods.retain(|pod| !is_going(pod) && !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded"));
    let wanted = usize::try_from(number(&set, "/spec/replicas")).unwrap_or(usize::MAX);
    let mut refusal = None;
    for _ in pods.len()..wanted.min(pods.len() + BURST) {
        match create_pod(cluster, &set) {
            Ok(pod) => pods.push(pod),
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    // Pods that do not run go first, and of those the youngest.
    pods.sort_by_key(|pod| (!is_ready(pod), text(pod, "/metadata/creationTimestamp").to_owned()));
    for pod in pods.drain(wanted.min(pods.len())..) {
        drop(cluster.delete(kinds::by_plural("pods"), &key_of("pods", &pod), &DeleteOptions::default()));
    }
    let ready = pods.iter().filter(|pod| is_ready(pod)).count() as u64;
    let mut status = counts(&[
        ("fullyLabeledReplicas", pods.len() as u64),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("observedGeneration", number(&set, "/metadata/generation")),
    ]);
    status["replicas"] = json!(pods.len());
    let Some(error) = refusal else {
        return put_status(cluster, key, &status);
    };
    // The message names a pod that was never made, another one each time; the first stays.
    let old = set["status"]["conditions"].as_array().into_iter().flatten();
    let same_spec = set["status"]["observedGeneration"] == set["metadata"]["generation"];
    if let Some(old) = old.filter(|_| same_spec).find(|old| old["type"] == "ReplicaFailure") {
        status["conditions"] = json!([old]);
    } else {
        status["conditions"] = json!([condition(&set, "ReplicaFailure", "True", "FailedCreate", error.message())]);
        emit_event(cluster, &set, "FailedCreate", &format!("Error creating: {}", error.message()));
    }
    put_status(cluster, key, &status)?;
    Err(error)
}

fn create_pod(cluster: &Cluster, set: &Value) -> ApiResult<Arc<Value>> {
    let template = &set["spec"]["template"];
    let pod = json!({
        "metadata": {
            "generateName": format!("{}-", name(set)),
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": owner_reference(set),
        },
        "spec": template["spec"],
    });
    let user = controller("replicaset");
    let write = Write { user: &user, dry_run: false, subresource: "" };
    let namespace = text(set, "/metadata/namespace");
    cluster.create(kinds::by_plural("pods"), namespace, pod, &write).map(|written| written.object)
}
