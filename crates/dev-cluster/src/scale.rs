//! The `scale` subresource: a workload seen as a number.

use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::meta::text;

pub(crate) fn of(workload: &Value) -> Value {
    let metadata = &workload["metadata"];
    let labels = workload["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": workload["spec"]["replicas"]},
        "status": {
            "replicas": workload["status"]["replicas"].as_u64().unwrap_or(0),
            "selector": labels.collect::<Vec<_>>().join(","),
        },
    })
}

/// The workload with the number that a scale asks for.
pub(crate) fn apply(workload: &Value, scale: &Value) -> ApiResult<Value> {
    let replicas = scale["spec"]["replicas"].as_u64().or(scale["spec"]["replicas"].is_null().then_some(0));
    let replicas = replicas.ok_or_else(|| ApiError::bad_request("spec.replicas is no count"))?;
    let mut changed = workload.clone();
    changed["spec"]["replicas"] = json!(replicas);
    let version = text(scale, "/metadata/resourceVersion");
    if !version.is_empty() {
        changed["metadata"]["resourceVersion"] = json!(version);
    }
    Ok(changed)
}
