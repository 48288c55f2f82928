//! What the guards refuse, tried on the real control plane alone: they are CEL, which
//! the development cluster keeps and does not read.

use std::time::Duration;

use remotegpu_cluster::{KubeClusters, TenantBaseline, apply_prerequisites};
use remotegpu_namespaces::{Namespace, NamespaceProvisioner};
use remotegpu_test_support::stopwatch::eventually;
use serde_json::{Value, json};

use super::{
    baseline::objects,
    enforced::{Tenant, pod, refused, tenant},
    versions,
};
use crate::subject::{Subject, name, path_of};

/// Volumes that the machine would mount, or fetch.
fn volumes_of_the_machine() -> Vec<Value> {
    vec![
        json!({"nfs": {"server": "10.0.0.1", "path": "/"}}),
        json!({"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:a", "lun": 0}}),
        json!({"fc": {"targetWWNs": ["500a0982991b8dc5"], "lun": 0}}),
        json!({"rbd": {"monitors": ["10.0.0.1:6789"], "image": "a"}}),
        json!({"cephfs": {"monitors": ["10.0.0.1:6789"]}}),
        json!({"glusterfs": {"endpoints": "a", "path": "a"}}),
        json!({"cinder": {"volumeID": "a"}}),
        json!({"flexVolume": {"driver": "example.org/a"}}),
        json!({"csi": {"driver": "csi.example.org"}}),
        json!({"gitRepo": {"repository": "https://10.0.0.1/a.git"}}),
        json!({"awsElasticBlockStore": {"volumeID": "a"}}),
        json!({"gcePersistentDisk": {"pdName": "a"}}),
        json!({"azureDisk": {"diskName": "a", "diskURI": "https://10.0.0.1/a.vhd"}}),
        json!({"azureFile": {"secretName": "a", "shareName": "a"}}),
        json!({"vsphereVolume": {"volumePath": "a"}}),
        json!({"portworxVolume": {"volumeID": "a"}}),
        json!({"quobyte": {"registry": "10.0.0.1:7861", "volume": "a"}}),
        json!({"scaleIO": {"gateway": "https://10.0.0.1", "system": "a", "secretRef": {"name": "a"}, "volumeName": "a"}}),
        json!({"storageos": {"volumeName": "a"}}),
        json!({"photonPersistentDisk": {"pdID": "a"}}),
        json!({"image": {"reference": "example.org/a"}}),
    ]
}

/// All kinds of volumes that a tenant may have, in one pod.
fn volumes_of_a_tenant() -> Value {
    let claim = json!({
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    });
    json!([
        {"name": "a", "configMap": {"name": "a"}},
        {"name": "b", "secret": {"secretName": "b"}},
        {"name": "c", "emptyDir": {}},
        {"name": "d", "projected": {"sources": [{"configMap": {"name": "a"}}]}},
        {"name": "e", "downwardAPI": {"items": [
            {"path": "a", "fieldRef": {"fieldPath": "metadata.name"}},
        ]}},
        {"name": "f", "persistentVolumeClaim": {"claimName": "f"}},
        {"name": "g", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}},
        // The API server makes an emptyDir of it.
        {"name": "h"},
    ])
}

pub async fn machine_mounts_nothing_for_a_tenants_pod(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "mounts").await;
    let pods = format!("{}/pods", path_of(&tenant.namespace));
    for mut volume in volumes_of_the_machine() {
        volume["name"] = json!("bold");
        let is_dropped =
            volume.get("image").is_some() && versions::IMAGES_ARE_DROPPED.holds_on(subject);
        let spec = json!({"volumes": [{"name": "a", "emptyDir": {}}, volume]});
        if is_dropped {
            let path = format!("{pods}?dryRun=All");
            let bold = pod("bold", &spec);
            let made = tenant.actor.done("POST", &path, Some(bold)).await;
            let left = json!([{"name": "a", "emptyDir": {}}]);
            assert_eq!(made["spec"]["volumes"], left);
            continue;
        }
        let why = "Volumes other than configMap, secret";
        refused(&tenant.actor, &pods, pod("bold", &spec), 403, why).await;
    }
    let spec = json!({"volumes": volumes_of_a_tenant()});
    let plain = pod("plain", &spec);
    tenant.actor.done("POST", &pods, Some(plain)).await;
    // What the guard looks at when a pod is made never changes.
    let bent = json!({"spec": {"volumes": [{"name": "a", "nfs": {"server": "a", "path": "/"}}]}});
    let path = format!("{pods}/plain");
    assert_eq!(tenant.actor.ask("PATCH", &path, Some(bent)).await.0, 422);
}

pub async fn machine_connects_nowhere_for_a_tenants_pod(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "probes").await;
    let own = path_of(&tenant.namespace);
    // Pod Security refuses these from v1.34 on, before the guard sees them.
    let older = json!({"metadata": {"labels": {
        "pod-security.kubernetes.io/enforce-version": "v1.33",
    }}});
    subject.admin.done("PATCH", &own, Some(older)).await;
    let pods = format!("{own}/pods");
    let made = |container: &Value, group: &str| {
        let mut container = container.clone();
        container["name"] = json!("second");
        container["image"] = json!("any");
        let mut made = pod("bold", &json!({group: [container]}));
        if group == "initContainers" {
            // Others have neither probes nor hooks.
            made["spec"][group][0]["restartPolicy"] = json!("Always");
        }
        made
    };
    let why = "A host in a probe or a lifecycle hook is not allowed";
    for group in ["containers", "initContainers"] {
        for action in ["httpGet", "tcpSocket"] {
            let bold = json!({action: {"host": "169.254.169.254", "port": 80}});
            for container in [
                json!({"livenessProbe": bold}),
                json!({"readinessProbe": bold}),
                json!({"startupProbe": bold}),
                json!({"lifecycle": {"postStart": bold}}),
                json!({"lifecycle": {"preStop": bold}}),
            ] {
                refused(&tenant.actor, &pods, made(&container, group), 403, why).await;
            }
        }
    }
    let own_port = json!({"httpGet": {"port": 80}});
    let container = json!({
        "livenessProbe": own_port, "readinessProbe": {"tcpSocket": {"port": 80}},
        "startupProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {"preStop": own_port, "postStart": {"exec": {"command": ["true"]}}},
    });
    for group in ["containers", "initContainers"] {
        let path = format!("{pods}?dryRun=All");
        let plain = made(&container, group);
        tenant.actor.done("POST", &path, Some(plain)).await;
    }
}

pub async fn scheduler_alone_places_a_tenants_pods(subject: &Subject) {
    // X9, N7
    let tenant = tenant(subject, "placed").await;
    let own = path_of(&tenant.namespace);
    let pods = format!("{own}/pods");
    for (spec, why) in [
        (json!({"nodeName": "any"}), "Pods with a nodeName"),
        (
            json!({"priorityClassName": "system-node-critical"}),
            // Two guards refuse it, and either may say so.
            "Pods with a priority class",
        ),
        (
            json!({"priorityClassName": "system-cluster-critical"}),
            // Two guards refuse it, and either may say so.
            "Pods with a priority class",
        ),
    ] {
        let bold = pod("bold", &spec);
        refused(&tenant.actor, &pods, bold, 403, why).await;
        // Nor by somebody who works for the tenant: the workload says why it has no pods.
        let bold = workload("bold", &spec);
        let deployments = apps(&tenant.namespace, "deployments");
        tenant.actor.done("POST", &deployments, Some(bold)).await;
        let deployment = format!("{deployments}/bold");
        until("the refusal is told", async || {
            let found = tenant.actor.done("GET", &deployment, None).await;
            found["status"]["conditions"].to_string().contains(why)
        })
        .await;
        let options = json!({"propagationPolicy": "Background"});
        let ended = tenant.actor.done("DELETE", &deployment, Some(options));
        ended.await;
    }

    // The cluster's own controllers make pods for whoever is not bold.
    let machine = json!({"metadata": {"name": "machine"}});
    let machines = "/api/v1/nodes";
    subject.admin.done("POST", machines, Some(machine)).await;
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        let plain = workload(kind, &json!({}));
        let path = apps(&tenant.namespace, kind);
        tenant.actor.done("POST", &path, Some(plain)).await;
    }
    let job = json!({"metadata": {"name": "jobs"}, "spec": {"template": {
        "metadata": {"labels": {"app": "jobs"}},
        "spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}],
        },
    }}});
    let own_jobs = format!(
        "/apis/batch/v1/namespaces/{}/jobs",
        tenant.namespace.kubernetes_namespace
    );
    tenant.actor.done("POST", &own_jobs, Some(job)).await;
    for app in ["deployments", "statefulsets", "daemonsets", "jobs"] {
        let path = format!("{pods}?labelSelector=app%3D{app}");
        until(app, async || {
            let found = tenant.actor.done("GET", &path, None).await;
            !found["items"].as_array().unwrap().is_empty()
        })
        .await;
    }
    let machine = format!("{machines}/machine");
    subject.admin.done("DELETE", &machine, None).await;
}

const TOLERATIONS: &str = "Pods with tolerations other than those that the operator allows";
const SCHEDULER: &str = "Pods with a schedulerName other than those that the operator allows";
const PRIORITY: &str = "Pods with a priority class other than those that the operator allows";

fn tolerating(tolerations: &[Value]) -> Value {
    json!({"tolerations": tolerations})
}

/// A taint of Kubernetes' own.
fn tolerated(key: &str, effect: &str) -> Value {
    let key = format!("node.kubernetes.io/{key}");
    json!({"key": key, "operator": "Exists", "effect": effect})
}

#[allow(
    clippy::too_many_lines,
    reason = "one list of what passes and what does not"
)]
pub async fn pods_ask_of_the_scheduler_what_is_allowed(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "asking").await;
    let Tenant {
        actor, namespace, ..
    } = &tenant;
    let pods = format!("{}/pods?dryRun=All", path_of(namespace));
    let class = |name: &str, default: bool| {
        json!({
            "metadata": {"name": name}, "value": 7, "globalDefault": default,
        })
    };
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    for name in ["high", "low"] {
        subject
            .admin
            .done("POST", classes, Some(class(name, false)))
            .await;
    }
    let gpu = json!({"key": "nvidia.com/gpu", "operator": "Exists"});
    let ml = json!({"key": "dedicated", "value": "ml", "effect": "NoSchedule"});
    let refusals = [
        (json!({"priorityClassName": "high"}), PRIORITY),
        (json!({"schedulerName": "bold"}), SCHEDULER),
        (tolerating(&[json!({"operator": "Exists"})]), TOLERATIONS),
        (
            tolerating(&[json!({"operator": "Exists", "effect": "NoSchedule"})]),
            TOLERATIONS,
        ),
        (tolerating(std::slice::from_ref(&gpu)), TOLERATIONS),
        (tolerating(std::slice::from_ref(&ml)), TOLERATIONS),
        (
            tolerating(&[json!({"key": "dedicated", "operator": "Exists"})]),
            TOLERATIONS,
        ),
        // What keeps pods off machines that are being emptied or have run full.
        (
            tolerating(&[tolerated("unschedulable", "NoSchedule")]),
            TOLERATIONS,
        ),
        (
            tolerating(&[tolerated("disk-pressure", "NoSchedule")]),
            TOLERATIONS,
        ),
        (
            tolerating(&[tolerated("disk-pressure", "NoExecute")]),
            TOLERATIONS,
        ),
        (
            tolerating(&[tolerated("not-ready", "NoSchedule")]),
            TOLERATIONS,
        ),
        (
            tolerating(&[tolerated("out-of-service", "NoExecute")]),
            TOLERATIONS,
        ),
    ];
    for (spec, why) in &refusals {
        until(why, async || {
            let made = Some(pod("bold", spec));
            let (status, answer) = actor.ask("POST", &pods, made).await;
            status == 403 && answer.to_string().contains(why)
        })
        .await;
        // Nor by somebody who works for the tenant.
        let bold = workload("bold", spec);
        let deployments = apps(namespace, "deployments");
        actor.done("POST", &deployments, Some(bold)).await;
        let deployment = format!("{deployments}/bold");
        until("the refusal is told", async || {
            let found = actor.done("GET", &deployment, None).await;
            found["status"]["conditions"].to_string().contains(why)
        })
        .await;
        let options = json!({"propagationPolicy": "Background"});
        actor.done("DELETE", &deployment, Some(options)).await;
    }
    let own = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists",
        "effect": "NoExecute", "tolerationSeconds": 5});
    for spec in [
        json!({}),
        json!({"schedulerName": "default-scheduler"}),
        tolerating(&[own, tolerated("unreachable", "NoExecute")]),
        tolerating(&[tolerated("memory-pressure", "NoSchedule")]),
    ] {
        actor.done("POST", &pods, Some(pod("plain", &spec))).await;
    }

    // What the operator allows, and no more of it.
    let profile = TenantBaseline {
        priority_classes: vec!["high".to_owned()],
        tolerations: ["nvidia.com/gpu", "dedicated=ml:NoSchedule"]
            .map(str::to_owned)
            .into(),
        schedulers: vec!["bold".to_owned()],
        ..TenantBaseline::default()
    };
    let allowing = subject.clusters.clone().with_tenant_baseline(&profile);
    let is_whole = async |clusters: &KubeClusters| {
        let located = clusters.survey(&name()).await.unwrap();
        let found = located.into_iter().find(|it| it.id == Some(namespace.id));
        found.unwrap().is_whole
    };
    assert!(!is_whole(&allowing).await && is_whole(&subject.clusters).await);
    allowing.provision(namespace).await.unwrap();
    assert!(is_whole(&allowing).await && !is_whole(&subject.clusters).await);
    for spec in [
        json!({"priorityClassName": "high"}),
        json!({"schedulerName": "bold"}),
        tolerating(&[gpu, ml]),
    ] {
        let made = pod("allowed", &spec);
        until("it is allowed", async || {
            actor.ask("POST", &pods, Some(made.clone())).await.0 == 201
        })
        .await;
    }
    let nearly = [
        (json!({"priorityClassName": "low"}), PRIORITY),
        (json!({"schedulerName": "bolder"}), SCHEDULER),
        (tolerating(&[json!({"operator": "Exists"})]), TOLERATIONS),
        (
            tolerating(&[json!({"key": "dedicated", "operator": "Exists"})]),
            TOLERATIONS,
        ),
        (
            tolerating(&[
                json!({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}),
            ]),
            TOLERATIONS,
        ),
        (
            tolerating(&[json!({"key": "dedicated", "value": "ml", "effect": "NoExecute"})]),
            TOLERATIONS,
        ),
        (
            tolerating(&[json!({"key": "dedicated", "value": "ml"})]),
            TOLERATIONS,
        ),
    ];
    for (spec, why) in nearly {
        refused(actor, &pods, pod("bold", &spec), 403, why).await;
    }
    // A list that is empty again is empty, whoever has written it.
    let written = json!({"metadata": {"annotations": {"remotegpu.ai/schedulers": "bold,any"}}});
    subject
        .admin
        .done("PATCH", &path_of(namespace), Some(written))
        .await;
    subject.clusters.provision(namespace).await.unwrap();
    assert!(is_whole(&subject.clusters).await);
    for (spec, why) in &refusals {
        until(why, async || {
            let made = Some(pod("bold", spec));
            actor.ask("POST", &pods, made).await.0 == 403
        })
        .await;
    }

    // The cluster's default class, which pods get that name none.
    subject
        .admin
        .done("POST", classes, Some(class("usual", true)))
        .await;
    until("it is given", async || {
        let made = actor
            .ask("POST", &pods, Some(pod("plain", &json!({}))))
            .await;
        made.0 == 201 && made.1["spec"]["priorityClassName"] == "usual"
    })
    .await;
    let named = pod("plain", &json!({"priorityClassName": "usual"}));
    actor.done("POST", &pods, Some(named)).await;
    refused(
        actor,
        &pods,
        pod("bold", &json!({"priorityClassName": "high"})),
        403,
        PRIORITY,
    )
    .await;
    // Nor are others' namespaces looked at.
    let bold = json!({"priorityClassName": "high", "tolerations": [{"operator": "Exists"}]});
    let elsewhere = "/api/v1/namespaces/default/pods?dryRun=All";
    subject
        .admin
        .done("POST", elsewhere, Some(pod("bold", &bold)))
        .await;
    workloads_run_with_a_default_class(&tenant, subject).await;
    for name in ["high", "low", "usual"] {
        subject
            .admin
            .done("DELETE", &format!("{classes}/{name}"), None)
            .await;
    }
}

/// A pod that waits for its machine is given what a new one would not get.
pub async fn pods_are_given_no_tolerations_later(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "later").await;
    let Tenant {
        actor, namespace, ..
    } = &tenant;
    let own = path_of(namespace);
    let pods = format!("{own}/pods");
    let waiting = pod(
        "waiting",
        &json!({"schedulingGates": [{"name": "example.org/wait"}]}),
    );
    actor.done("POST", &pods, Some(waiting)).await;
    let path = format!("{pods}/waiting");
    let has = actor.done("GET", &path, None).await["spec"]["tolerations"].clone();
    let with = |added: &Value| {
        let mut tolerations = has.as_array().cloned().unwrap_or_default();
        tolerations.push(added.clone());
        json!({"spec": tolerating(&tolerations)})
    };
    let gpu = json!({"key": "nvidia.com/gpu", "operator": "Exists"});
    for added in [json!({"operator": "Exists"}), gpu.clone()] {
        let (status, answer) = actor.ask("PATCH", &path, Some(with(&added))).await;
        assert_eq!(status, 403, "{answer}");
        assert!(answer.to_string().contains(TOLERATIONS), "{answer}");
    }
    let own_patience = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists",
        "effect": "NoExecute", "tolerationSeconds": 5});
    actor.done("PATCH", &path, Some(with(&own_patience))).await;

    // One that is older than the guard, or than the operator's list, keeps what it has.
    let allowing = subject
        .clusters
        .clone()
        .with_tenant_baseline(&TenantBaseline {
            tolerations: vec!["nvidia.com/gpu".to_owned()],
            schedulers: vec!["bold".to_owned()],
            ..TenantBaseline::default()
        });
    allowing.provision(namespace).await.unwrap();
    let mut older = pod("older", &tolerating(std::slice::from_ref(&gpu)));
    older["spec"]["schedulerName"] = json!("bold");
    until("it is allowed", async || {
        actor.ask("POST", &pods, Some(older.clone())).await.0 == 201
    })
    .await;
    subject.clusters.provision(namespace).await.unwrap();
    until("it is allowed no more", async || {
        let another = pod("another", &tolerating(std::slice::from_ref(&gpu)));
        let path = format!("{pods}?dryRun=All");
        actor.ask("POST", &path, Some(another)).await.0 == 403
    })
    .await;
    let noted = json!({"metadata": {"annotations": {"any": "thing"}}});
    let older = format!("{pods}/older");
    actor.done("PATCH", &older, Some(noted)).await;
}

/// Every controller makes the pods of a workload that asks for nothing, and the daemon
/// sets' adds what no tenant may.
async fn workloads_run_with_a_default_class(tenant: &Tenant, subject: &Subject) {
    let Tenant {
        actor, namespace, ..
    } = tenant;
    let machines = "/api/v1/nodes";
    let machine = json!({"metadata": {"name": "asked"}});
    subject.admin.done("POST", machines, Some(machine)).await;
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        let made = workload(kind, &json!({}));
        actor.done("POST", &apps(namespace, kind), Some(made)).await;
    }
    for app in ["deployments", "statefulsets", "daemonsets"] {
        let path = format!("{}/pods?labelSelector=app%3D{app}", path_of(namespace));
        until(app, async || {
            let found = actor.done("GET", &path, None).await;
            let made = found["items"].as_array().unwrap();
            let pressed = |pod: &Value| {
                let tolerations = pod["spec"]["tolerations"].to_string();
                tolerations.contains("disk-pressure") && tolerations.contains("unschedulable")
            };
            made.iter()
                .any(|pod| pod["spec"]["priorityClassName"] == "usual")
                && made.iter().all(|pod| pressed(pod) == (app == "daemonsets"))
        })
        .await;
    }
    subject
        .admin
        .done("DELETE", &format!("{machines}/asked"), None)
        .await;
}

pub async fn histories_of_workloads_are_bounded(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "histories").await;
    let why = "A revisionHistoryLimit of more than 10 is not allowed";
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        let path = apps(&tenant.namespace, kind);
        let mut bold = workload(kind, &json!({}));
        bold["spec"]["revisionHistoryLimit"] = json!(11);
        refused(&tenant.actor, &path, bold.clone(), 403, why).await;
        bold["spec"]["revisionHistoryLimit"] = json!(10);
        tenant.actor.done("POST", &path, Some(bold)).await;
        let path = format!("{path}/{kind}");
        let more = json!({"spec": {"revisionHistoryLimit": 2_000_000_000}});
        assert_eq!(tenant.actor.ask("PATCH", &path, Some(more)).await.0, 403);
        let less = json!({"spec": {"revisionHistoryLimit": 2}});
        tenant.actor.done("PATCH", &path, Some(less)).await;
    }

    // One for the stateful set and one for the daemon set.
    let [_, quota, ..] = objects(&tenant.namespace);
    let counted = "count/controllerrevisions.apps";
    until("revisions are counted", async || {
        let quota = subject.admin.done("GET", &quota, None).await;
        assert_eq!(quota["spec"]["hard"][counted], "1100");
        quota["status"]["used"][counted] == "2"
    })
    .await;
    let tight = json!({"spec": {"hard": {counted: "2"}}});
    subject.admin.done("PATCH", &quota, Some(tight)).await;
    let revisions = apps(&tenant.namespace, "controllerrevisions");
    let one_more = json!({"metadata": {"generateName": "any-"}, "data": {}, "revision": 1});
    until("revisions are refused", async || {
        let path = format!("{revisions}?dryRun=All");
        let (status, answer) = subject
            .admin
            .ask("POST", &path, Some(one_more.clone()))
            .await;
        status == 403
            && answer
                .to_string()
                .contains("exceeded quota: remotegpu-objects")
    })
    .await;
}

/// The cluster itself finds no fault with the expressions: no field is misspelt.
pub async fn guards_are_of_the_right_types(subject: &Subject) {
    // X9
    let path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    until("all are checked", async || {
        let found = subject.admin.done("GET", path, None).await;
        let policies = found["items"].as_array().unwrap();
        assert_eq!(policies.len(), 6);
        for policy in policies {
            let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
            assert_eq!(*warnings, Value::Null);
        }
        policies.iter().all(|policy| {
            policy["status"]["observedGeneration"] == policy["metadata"]["generation"]
        })
    })
    .await;
}

/// What is older than the guard can still end, for which the cluster writes to it.
pub async fn workload_that_is_older_than_the_guard_can_end(subject: &Subject) {
    let tenant = tenant(subject, "older").await;
    let Tenant { actor, .. } = &tenant;
    let path = apps(&tenant.namespace, "statefulsets");
    let mut old = workload("old", &json!({}));
    old["spec"]["revisionHistoryLimit"] = json!(100);
    let binding = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/\
                   remotegpu-tenant-histories";
    subject.admin.done("DELETE", binding, None).await;
    until("the guard is gone", async || {
        actor.ask("POST", &path, Some(old.clone())).await.0 == 201
    })
    .await;
    apply_prerequisites(&subject.admin_kubeconfig)
        .await
        .unwrap();
    let old_at = format!("{path}/old");
    let more = json!({"spec": {"revisionHistoryLimit": 101}});
    until("the guard is back", async || {
        let more = Some(more.clone());
        actor
            .ask("PATCH", &format!("{old_at}?dryRun=All"), more)
            .await
            .0
            == 403
    })
    .await;
    let noted = json!({"metadata": {"annotations": {"any": "thing"}}});
    actor.done("PATCH", &old_at, Some(noted)).await;
    let foreground = json!({"propagationPolicy": "Foreground"});
    actor.done("DELETE", &old_at, Some(foreground)).await;
    until("it has ended", async || actor.get(&old_at).await.0 == 404).await;
}

pub async fn limit_that_the_baseline_names_no_more_goes(subject: &Subject) {
    // N5
    let profile = |resources: &[&str]| TenantBaseline {
        gpu_resources: resources.iter().map(ToString::to_string).collect(),
        ..TenantBaseline::default()
    };
    let with = |resources: &[&str]| {
        let clusters = subject.clusters.clone();
        clusters.with_tenant_baseline(&profile(resources))
    };
    let before = with(&["nvidia.com/gpu", "example.org/gpu"]);
    let namespace = subject.namespace("dropped").await;
    before.provision(&namespace).await.unwrap();
    let [_, quota, ..] = objects(&namespace);
    let hard = async || {
        let found = subject.admin.done("GET", &quota, None).await;
        found["spec"]["hard"].clone()
    };
    assert_eq!(hard().await["requests.example.org/gpu"], "8");
    // Somebody else's limit stays, and is no reason to correct anything.
    let added = json!({"spec": {"hard": {"count/leases.coordination.k8s.io": "1"}}});
    subject.admin.done("PATCH", &quota, Some(added)).await;
    let is_whole = async || {
        let located = subject.clusters.survey(&name()).await.unwrap();
        let mut found = located.into_iter();
        let found = found.find(|located| located.id == Some(namespace.id));
        found.unwrap().is_whole
    };
    assert!(!is_whole().await);
    subject.clusters.provision(&namespace).await.unwrap();
    assert!(is_whole().await);
    assert_eq!(hard().await["requests.example.org/gpu"], Value::Null);
    assert_eq!(hard().await["requests.nvidia.com/gpu"], "8");
    assert_eq!(hard().await["count/leases.coordination.k8s.io"], "1");
}

/// A workload of the group `apps` whose pods have this besides.
fn workload(name: &str, spec: &Value) -> Value {
    let labels = json!({"app": name});
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod(name, spec)["spec"]},
    }})
}

fn apps(namespace: &Namespace, kind: &str) -> String {
    let own = &namespace.kubernetes_namespace;
    format!("/apis/apps/v1/namespaces/{own}/{kind}")
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    eventually(what, Duration::from_secs(30), done).await;
}
