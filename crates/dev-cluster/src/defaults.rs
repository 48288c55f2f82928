//! The values that Kubernetes fills in where an object leaves them out, and what it refuses.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::kinds::Kind;
use crate::meta::{now, text};
use crate::selector::workload_selects;

/// Sets fields that are missing, deep inside objects too; lists are left alone.
fn fill(target: &mut Value, defaults: Value) {
    match (target, defaults) {
        (Value::Object(target), Value::Object(defaults)) => {
            for (field, value) in defaults {
                let known = target.entry(field).or_insert(Value::Null);
                fill(known, value);
            }
        }
        (target @ Value::Null, value) => *target = value,
        _ => {}
    }
}

fn each<'a>(parent: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    parent
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn pod_spec(spec: &mut Value) {
    fill(
        spec,
        json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30,
            "securityContext": {}, "schedulerName": "default-scheduler",
        }),
    );
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        fill(spec, json!({"serviceAccount": account}));
    }
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            let image = text(container, "/image");
            let tag = image.rsplit('/').next().unwrap_or_default();
            let moves =
                !tag.contains('@') && tag.split_once(':').is_none_or(|(_, tag)| tag == "latest");
            let pull = if moves { "Always" } else { "IfNotPresent" };
            fill(
                container,
                json!({
                    "imagePullPolicy": pull, "resources": {}, "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }),
            );
            // What is limited and not asked for is asked for as well.
            let limits = container["resources"]
                .get("limits")
                .cloned()
                .unwrap_or_default();
            if limits.is_object() {
                fill(&mut container["resources"], json!({"requests": limits}));
            }
            for port in each(container, "ports") {
                fill(port, json!({"protocol": "TCP"}));
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(probe) = container.get_mut(probe) {
                    fill(
                        probe,
                        json!({"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}),
                    );
                }
            }
        }
    }
    for volume in each(spec, "volumes") {
        for (source, default) in [
            ("configMap", "defaultMode"),
            ("secret", "defaultMode"),
            ("projected", "defaultMode"),
        ] {
            if let Some(source) = volume.get_mut(source) {
                fill(source, json!({ default: 420 }));
            }
        }
    }
}

fn template(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template") {
        fill(
            template,
            json!({"metadata": {"creationTimestamp": null}, "spec": {}}),
        );
        pod_spec(&mut template["spec"]);
    }
}

/// Completes an object as the real server would store it.
pub(crate) fn complete(kind: &Kind, object: &mut Value) {
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    match kind.plural {
        "pods" => pod_spec(&mut object["spec"]),
        "deployments" => {
            let recreate = text(object, "/spec/strategy/type") == "Recreate";
            let strategy = if recreate { json!({}) } else { rolling };
            fill(
                object,
                json!({"spec": {
                    "replicas": 1, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10, "strategy": strategy,
                }, "status": {}}),
            );
        }
        "replicasets" => fill(
            object,
            json!({"spec": {"replicas": 1}, "status": {"replicas": 0}}),
        ),
        "statefulsets" => fill(
            object,
            json!({"spec": {
                "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            }, "status": {"replicas": 0, "availableReplicas": 0}}),
        ),
        "daemonsets" => fill(
            object,
            json!({"spec": {
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            }, "status": {
                "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
            }}),
        ),
        "jobs" => fill(
            object,
            json!({"spec": {
                "backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "parallelism": 1,
                "suspend": false,
            }, "status": {}}),
        ),
        "cronjobs" => fill(
            object,
            json!({"spec": {
                "concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1, "successfulJobsHistoryLimit": 3,
                "suspend": false,
            }, "status": {}}),
        ),
        "namespaces" => {
            fill(
                object,
                json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
            );
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        "services" => {
            let ip = format!(
                "10.96.{}.{}",
                rand::random::<u8>(),
                rand::random::<u8>().clamp(1, 254)
            );
            fill(
                object,
                json!({"spec": {
                    "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                    "clusterIP": ip, "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                }, "status": {"loadBalancer": {}}}),
            );
            let ip = object["spec"]["clusterIP"].clone();
            fill(object, json!({"spec": {"clusterIPs": [ip]}}));
            for port in each(&mut object["spec"], "ports") {
                let target = port["port"].clone();
                fill(port, json!({"protocol": "TCP", "targetPort": target}));
            }
        }
        "secrets" => {
            fill(object, json!({"type": "Opaque"}));
            let plain = object
                .as_object_mut()
                .and_then(|fields| fields.remove("stringData"));
            for (key, value) in plain
                .as_ref()
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let bytes = value.as_str().unwrap_or_default();
                object["data"][key] =
                    json!(base64::engine::general_purpose::STANDARD.encode(bytes));
            }
        }
        "persistentvolumeclaims" => {
            fill(
                object,
                json!({"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}),
            );
        }
        "networkpolicies" => {
            let kinds = if object["spec"].get("egress").is_some() {
                json!(["Ingress", "Egress"])
            } else {
                json!(["Ingress"])
            };
            fill(
                object,
                json!({"spec": {"podSelector": {}, "policyTypes": kinds}}),
            );
        }
        "resourcequotas" => {
            let hard = object["spec"]["hard"].clone();
            fill(object, json!({"status": {"hard": hard}}));
        }
        "rolebindings" | "clusterrolebindings" => {
            fill(
                &mut object["roleRef"],
                json!({"apiGroup": crate::kinds::RBAC}),
            );
            for subject in each(object, "subjects") {
                let is_account = subject["kind"] == "ServiceAccount";
                if !is_account {
                    fill(subject, json!({"apiGroup": crate::kinds::RBAC}));
                }
            }
        }
        _ => {}
    }
    template(object);
    if let Some(job) = object.pointer_mut("/spec/jobTemplate") {
        template(job);
    }
}

/// What the service account admission and the scheduler add to a new pod.
pub(crate) fn complete_new_pod(pod: &mut Value) {
    fill(
        pod,
        json!({"spec": {
            "serviceAccountName": "default", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
        }}),
    );
    let account = pod["spec"]["serviceAccountName"].clone();
    fill(pod, json!({"spec": {"serviceAccount": account}}));
    let mut tolerations = pod["spec"]["tolerations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        if !tolerations
            .iter()
            .any(|known| known["key"] == key || (known.get("key").is_none()))
        {
            let wait = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
            tolerations.push(wait);
        }
    }
    pod["spec"]["tolerations"] = json!(tolerations);
    if pod["spec"]["automountServiceAccountToken"] != false {
        mount_token(&mut pod["spec"]);
    }
}

fn mount_token(spec: &mut Value) {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let volume = format!("kube-api-access-{}", crate::meta::random_suffix(5));
    let mut used = false;
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            let mut mounts = container["volumeMounts"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if !mounts.iter().any(|mount| mount["mountPath"] == PATH) {
                mounts.push(json!({"name": volume, "mountPath": PATH, "readOnly": true}));
                container["volumeMounts"] = json!(mounts);
                used = true;
            }
        }
    }
    if used {
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}}));
        spec["volumes"] = json!(volumes);
    }
}

/// The status of a pod that nothing will ever run.
pub(crate) fn pending_status(pod: &mut Value) {
    let empty = |container: &Value| {
        container["resources"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    };
    let best_effort = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .all(empty);
    pod["status"] = json!({"phase": "Pending", "qosClass": if best_effort { "BestEffort" } else { "Burstable" }});
    if text(pod, "/spec/nodeName").is_empty() {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastProbeTime": null,
            "lastTransitionTime": now(),
            "message": "0/0 nodes are available: nothing runs in the development cluster.",
        }]);
    }
}

/// Refuses what the real server would, as far as this crate looks.
pub(crate) fn check(kind: &Kind, object: &Value) -> ApiResult<()> {
    let mut causes: Vec<(&str, &str, String)> = Vec::new();
    let spec = &object["spec"];
    if matches!(
        kind.plural,
        "deployments" | "replicasets" | "statefulsets" | "daemonsets"
    ) {
        let labels = &spec["template"]["metadata"]["labels"];
        if spec["selector"].is_null() {
            causes.push((
                "FieldValueRequired",
                "spec.selector",
                "Required value".to_owned(),
            ));
        } else if !workload_selects(&spec["selector"], labels) {
            let message =
                format!("Invalid value: {labels}: `selector` does not match template `labels`");
            causes.push((
                "FieldValueInvalid",
                "spec.template.metadata.labels",
                message,
            ));
        }
        if spec["replicas"]
            .as_i64()
            .is_some_and(|replicas| replicas < 0)
        {
            let message = format!(
                "Invalid value: {}: must be greater than or equal to 0",
                spec["replicas"]
            );
            causes.push(("FieldValueInvalid", "spec.replicas", message));
        }
    }
    let (pod, path, image_path) = match kind.plural {
        "pods" => (spec, "spec.containers", "spec.containers[0].image"),
        "cronjobs" => (
            &spec["jobTemplate"]["spec"]["template"]["spec"],
            "spec.jobTemplate.spec.template.spec.containers",
            "spec.jobTemplate.spec.template.spec.containers[0].image",
        ),
        _ => (
            &spec["template"]["spec"],
            "spec.template.spec.containers",
            "spec.template.spec.containers[0].image",
        ),
    };
    if matches!(kind.group, "apps" | "batch") || kind.plural == "pods" {
        let containers = pod["containers"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if containers.is_empty() {
            causes.push(("FieldValueRequired", path, "Required value".to_owned()));
        } else if containers
            .iter()
            .any(|container| text(container, "/image").is_empty())
        {
            causes.push((
                "FieldValueRequired",
                image_path,
                "Required value".to_owned(),
            ));
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(kind, crate::meta::name(object), &causes))
    }
}
