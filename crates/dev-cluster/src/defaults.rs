//! The values that Kubernetes fills in where an object leaves them out, and what it refuses.

use std::sync::LazyLock;

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
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The containers of all kinds.
fn containers(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flatten();
    let lists = lists.filter(|(field, _)| matches!(field.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

/// A part of the defaults' file, which a test reads as a whole.
fn known(part: &str) -> Value {
    static FILE: LazyLock<Value> =
        LazyLock::new(|| serde_saphyr::from_str(include_str!("defaults.yaml")).unwrap_or_default());
    FILE[part].clone()
}

fn pod_spec(spec: &mut Value) {
    fill(spec, known("podSpec"));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        fill(spec, json!({"serviceAccount": account}));
    }
    for container in containers(spec) {
        let image = text(container, "/image");
        let tag = image.rsplit('/').next().unwrap_or_default();
        let moves = !tag.contains('@') && tag.split_once(':').is_none_or(|(_, tag)| tag == "latest");
        fill(container, json!({"imagePullPolicy": if moves { "Always" } else { "IfNotPresent" }}));
        fill(container, known("container"));
        // What is limited and not asked for is asked for as well.
        let limits = container["resources"]["limits"].clone();
        if limits.is_object() {
            fill(&mut container["resources"], json!({"requests": limits}));
        }
        each(container, "ports").for_each(|port| fill(port, known("containerPort")));
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            container.get_mut(probe).into_iter().for_each(|probe| fill(probe, known("probe")));
        }
    }
    for volume in each(spec, "volumes") {
        for source in ["configMap", "secret", "projected"] {
            volume.get_mut(source).into_iter().for_each(|source| fill(source, known("volumeSource")));
        }
    }
}

fn template(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template") {
        fill(template, known("template"));
        pod_spec(&mut template["spec"]);
    }
}

/// Completes an object as the real server would store it.
pub(crate) fn complete(kind: &Kind, object: &mut Value) {
    fill(object, known(kind.plural));
    match kind.plural {
        "pods" => pod_spec(&mut object["spec"]),
        "deployments" if text(object, "/spec/strategy/type") == "RollingUpdate" => {
            fill(&mut object["spec"]["strategy"], known("rollingUpdate"));
        }
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        "services" => {
            let ip = format!("10.96.{}.{}", rand::random::<u8>(), rand::random::<u8>().clamp(1, 254));
            fill(object, json!({"spec": {"clusterIP": ip}}));
            let ip = object["spec"]["clusterIP"].clone();
            fill(object, json!({"spec": {"clusterIPs": [ip]}}));
            for port in each(&mut object["spec"], "ports") {
                let target = port["port"].clone();
                fill(port, json!({"protocol": "TCP", "targetPort": target}));
            }
        }
        "secrets" => {
            let plain = object.as_object_mut().and_then(|fields| fields.remove("stringData"));
            for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
                let bytes = value.as_str().unwrap_or_default();
                object["data"][key] = json!(base64::engine::general_purpose::STANDARD.encode(bytes));
            }
        }
        "resourcequotas" => {
            object["status"]["hard"] = object["spec"]["hard"].clone();
        }
        "rolebindings" | "clusterrolebindings" => {
            fill(&mut object["roleRef"], known("roleReference"));
            let people = each(object, "subjects").filter(|subject| subject["kind"] != "ServiceAccount");
            people.for_each(|subject| fill(subject, known("roleReference")));
        }
        _ => {}
    }
    template(object);
    object.pointer_mut("/spec/jobTemplate").into_iter().for_each(template);
}

/// What the real server's admission adds to a new pod.
pub(crate) fn complete_new_pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    fill(spec, known("newPod"));
    let account = spec["serviceAccountName"].clone();
    fill(spec, json!({"serviceAccount": account}));
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for wait in known("newPodTolerations").as_array().into_iter().flatten() {
        if !tolerations.iter().any(|known| known.get("key").is_none_or(|key| *key == wait["key"])) {
            tolerations.push(wait.clone());
        }
    }
    spec["tolerations"] = json!(tolerations);
    if spec["automountServiceAccountToken"] != false {
        mount_token(spec);
    }
}

fn mount_token(spec: &mut Value) {
    let volume = format!("kube-api-access-{}", crate::meta::random_suffix(5));
    let mut mount = known("tokenMount");
    mount["name"] = json!(volume);
    let mut used = false;
    for container in containers(spec) {
        let mut mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
        if !mounts.iter().any(|known| known["mountPath"] == mount["mountPath"]) {
            mounts.push(mount.clone());
            container["volumeMounts"] = json!(mounts);
            used = true;
        }
    }
    if used {
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        volumes.push(json!({"name": volume, "projected": known("tokenVolume")}));
        spec["volumes"] = json!(volumes);
    }
}

/// The status of a pod that nothing will ever run.
pub(crate) fn pending_status(pod: &mut Value) {
    let empty = |container: &Value| container["resources"].as_object().is_none_or(serde_json::Map::is_empty);
    let best_effort = pod["spec"]["containers"].as_array().into_iter().flatten().all(empty);
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
    if matches!(kind.plural, "deployments" | "replicasets" | "statefulsets" | "daemonsets") {
        let labels = &spec["template"]["metadata"]["labels"];
        if spec["selector"].is_null() {
            causes.push(("FieldValueRequired", "spec.selector", "Required value".to_owned()));
        }
        if !workload_selects(&spec["selector"], labels) {
            let message = format!("Invalid value: {labels}: `selector` does not match template `labels`");
            causes.push(("FieldValueInvalid", "spec.template.metadata.labels", message));
        }
        if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
            let message = format!("Invalid value: {}: must be greater than or equal to 0", spec["replicas"]);
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
        _ => (&spec["template"]["spec"], "spec.template.spec.containers", "spec.template.spec.containers[0].image"),
    };
    if matches!(kind.group, "apps" | "batch") || kind.plural == "pods" {
        let containers = pod["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if containers.is_empty() {
            causes.push(("FieldValueRequired", path, "Required value".to_owned()));
        } else if containers.iter().any(|container| text(container, "/image").is_empty()) {
            causes.push(("FieldValueRequired", image_path, "Required value".to_owned()));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, crate::meta::name(object), &causes)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    #[test]
    fn deployment_gets_what_it_leaves_out() {
        let mut deployment = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "nginx", "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}]},
            {"name": "b", "image": "x:5000/nginx:1.27"},
        ]}}}});
        complete(kinds::by_plural("deployments"), &mut deployment);
        assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
        assert_eq!(deployment["spec"]["replicas"], 1);
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers[0]["imagePullPolicy"], "Always");
        assert_eq!(containers[0]["resources"]["requests"]["cpu"], "1");
        assert_eq!(containers[0]["ports"][0]["protocol"], "TCP");
        assert_eq!(containers[1]["imagePullPolicy"], "IfNotPresent");
        let once = deployment.clone();
        complete(kinds::by_plural("deployments"), &mut deployment);
        assert_eq!(deployment, once);
    }

    #[test]
    fn new_pod_gets_its_token_and_its_tolerations() {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "a"}]}});
        complete(kinds::by_plural("pods"), &mut pod);
        complete_new_pod(&mut pod);
        assert_eq!(pod["spec"]["serviceAccount"], "default");
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        let volume = &pod["spec"]["volumes"][0]["name"];
        assert_eq!(&pod["spec"]["containers"][0]["volumeMounts"][0]["name"], volume);
    }
}
