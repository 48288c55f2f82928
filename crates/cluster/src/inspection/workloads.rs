//! Which workloads of tenants the guards of placement would refuse. A guard looks at pods
//! when they are made: what stands goes on until a machine is emptied, and then has no
//! pods any more. So it is told before an administrator applies the guards.

use std::collections::HashSet;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{Namespace, Pod},
    scheduling::v1::PriorityClass,
};
use kube::Resource;
use remotegpu_namespaces::ClusterError;
use serde_json::Value;

use crate::{
    cluster::KubeCluster,
    inspection::{
        Finding, chain, enumerated, field,
        rights::{Right, may},
        shown,
    },
    labels::{NAMESPACE_ID, is_going, metadata},
    listing::{Listing, list},
    placement::Placement,
};

/// How many workloads are told one by one.
const TOLD: usize = 50;
const ACT: &str = "looking for what would be refused";

/// A kind of workload.
struct Kind {
    name: &'static str,
    group: &'static str,
    /// As paths and rights call it.
    resource: &'static str,
    collection: String,
    /// Where the specification of its pods is.
    spec: &'static str,
}

/// What was found among the workloads.
#[derive(Default)]
struct Found {
    refused: Vec<String>,
    hidden: Vec<&'static str>,
}

/// `in_force` says whether the guards stand already.
pub(super) async fn inspect(
    cluster: &KubeCluster,
    placement: &Placement,
    in_force: bool,
) -> Vec<Finding> {
    let found = match look(cluster, placement).await {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::warning(format!(
                "Which workloads of tenants the guards would refuse could not be seen: {}",
                chain(&error)
            ))];
        }
    };
    let verb = if in_force { "are" } else { "would be" };
    let mut findings: Vec<Finding> = found
        .refused
        .iter()
        .take(TOLD)
        .map(|workload| {
            Finding::warning(format!(
                "New pods of {workload} {verb} refused: change it, or allow it in [tenant_baseline]"
            ))
        })
        .collect();
    if let Some(more) = found
        .refused
        .len()
        .checked_sub(TOLD)
        .filter(|more| *more > 0)
    {
        findings.push(Finding::warning(format!(
            "Those of {more} more {verb} refused as well"
        )));
    }
    if !found.hidden.is_empty() {
        let sentence = format!(
            "Which workloads of tenants the guards {} is not looked at with this credential, \
             which may not list {}; an administrator's may: `--clusters NAME=KUBECONFIG check`",
            if in_force { "refuse" } else { "would refuse" },
            enumerated(&found.hidden)
        );
        // Once they are in force there is nothing left to prepare.
        findings.push(if in_force {
            Finding::fine(sentence)
        } else {
            Finding::warning(sentence)
        });
    } else if findings.is_empty() {
        findings.push(Finding::fine(
            "No workload of a tenant asks for what the guards of placement refuse",
        ));
    }
    findings
}

async fn look(cluster: &KubeCluster, placement: &Placement) -> Result<Found, ClusterError> {
    let mut found = Found::default();
    let classes = Kind {
        name: "PriorityClass",
        group: "scheduling.k8s.io",
        resource: "priorityclasses",
        collection: PriorityClass::url_path(&(), None),
        spec: "",
    };
    let kinds = kinds();
    for kind in kinds.iter().chain([&classes]) {
        if !may(cluster, &kind.right()).await? {
            found.hidden.push(kind.resource);
        }
    }
    // Without these nobody knows what a pod gets that names none.
    if found.hidden.contains(&classes.resource) {
        return Ok(found);
    }
    let defaults = list(cluster, listing(&classes.collection, ""), |class: Value| {
        let is_default = class["globalDefault"] == true;
        is_default.then(|| metadata(&class, "name").to_owned())
    });
    let defaults = defaults.await?;
    let selector = format!("labelSelector={NAMESPACE_ID}");
    let namespaces = Namespace::url_path(&(), None);
    let tenants = list(
        cluster,
        listing(&namespaces, &selector),
        |namespace: Value| Some(metadata(&namespace, "name").to_owned()),
    );
    let tenants: HashSet<String> = tenants.await?.into_iter().collect();
    for kind in kinds {
        if found.hidden.contains(&kind.resource) {
            continue;
        }
        let judge = |object: Value| {
            let namespace = metadata(&object, "namespace");
            if !tenants.contains(namespace) || !makes_pods(&object) {
                return None;
            }
            let spec = object.pointer(kind.spec)?;
            let refused = placement.refused(spec, &defaults, kind.name == "DaemonSet");
            let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
            let name = metadata(&object, "name");
            let told = || {
                let (kind, refused) = (kind.name, enumerated(&refused));
                format!("the {kind} {namespace}/{name}, for {refused},")
            };
            (!refused.is_empty()).then(|| readable(&told()))
        };
        let refused = list(cluster, listing(&kind.collection, ""), judge).await?;
        found.refused.extend(refused);
    }
    Ok(found)
}

fn listing<'a>(collection: &'a str, selector: &'a str) -> Listing<'a> {
    Listing {
        collection,
        selector,
        act: ACT,
    }
}

fn kinds() -> [Kind; 7] {
    const TEMPLATE: &str = "/spec/template/spec";
    let kind = |name, group, resource, collection, spec| Kind {
        name,
        group,
        resource,
        collection,
        spec,
    };
    let (apps, batch) = ("apps", "batch");
    [
        kind("Pod", "", "pods", Pod::url_path(&(), None), "/spec"),
        kind(
            "Deployment",
            apps,
            "deployments",
            Deployment::url_path(&(), None),
            TEMPLATE,
        ),
        kind(
            "StatefulSet",
            apps,
            "statefulsets",
            StatefulSet::url_path(&(), None),
            TEMPLATE,
        ),
        kind(
            "DaemonSet",
            apps,
            "daemonsets",
            DaemonSet::url_path(&(), None),
            TEMPLATE,
        ),
        kind(
            "ReplicaSet",
            apps,
            "replicasets",
            ReplicaSet::url_path(&(), None),
            TEMPLATE,
        ),
        kind("Job", batch, "jobs", Job::url_path(&(), None), TEMPLATE),
        kind(
            "CronJob",
            batch,
            "cronjobs",
            CronJob::url_path(&(), None),
            "/spec/jobTemplate/spec/template/spec",
        ),
    ]
}

impl Kind {
    /// The right to list all of them.
    fn right(&self) -> Right {
        Right::to_list(self.group, self.resource)
    }
}

/// Whether pods will be made after it: what another workload has made is told by that
/// one, and what has ended makes none.
fn makes_pods(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let owned = owners.is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true));
    let phase = field(&object["status"], "phase");
    let conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let ended = conditions
        .into_iter()
        .any(|it| ["Complete", "Failed"].contains(&field(it, "type")) && it["status"] == "True");
    !owned && !is_going(object) && !ended && !["Succeeded", "Failed"].contains(&phase)
}

/// Words of the cluster's that go to a terminal.
fn readable(words: &str) -> String {
    let words = words.split(' ').map(shown);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_owned_or_over_is_no_workload_of_its_own() {
        let owned = json!([{"kind": "ReplicaSet", "controller": true}]);
        for (object, told) in [
            (json!({}), true),
            (json!({"metadata": {"ownerReferences": owned}}), false),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                false,
            ),
            (json!({"status": {"phase": "Running"}}), true),
            (json!({"status": {"phase": "Succeeded"}}), false),
            (
                json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
                false,
            ),
            (
                json!({"status": {"conditions": [{"type": "Failed", "status": "False"}]}}),
                true,
            ),
        ] {
            assert_eq!(makes_pods(&object), told, "{object}");
        }
    }
}
