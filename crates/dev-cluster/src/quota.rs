//! What resource quotas count. Here nothing is refused by them, and what pods request is not
//! added up: there is nothing that they would run on.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{kinds::KINDS, meta::text, store::Objects};

/// The quota with its `status.used`.
pub(crate) fn counted(objects: &Objects, quota: &Arc<Value>) -> Arc<Value> {
    let namespace = text(quota, "/metadata/namespace");
    let best_effort_alone = scopes(quota).any(|scope| scope == "BestEffort");
    let hard = quota["status"]["hard"].as_object().into_iter().flatten();
    let used: Map<String, Value> = hard
        .filter_map(|(resource, _)| {
            let count = count(objects, namespace, resource, best_effort_alone)?;
            Some((resource.clone(), json!(count.to_string())))
        })
        .collect();
    let mut quota = Value::clone(quota);
    quota["status"]["used"] = Value::Object(used);
    Arc::new(quota)
}

fn scopes(quota: &Value) -> impl Iterator<Item = &str> {
    quota["spec"]["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Absent where it is nothing that stands here.
fn count(objects: &Objects, namespace: &str, resource: &str, best_effort_alone: bool) -> Option<usize> {
    let all = |plural| objects.list(plural, Some(namespace)).map(|(_, object)| &**object);
    if resource == "pods" {
        let runs = |pod: &&Value| !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded");
        let counts = |pod: &&Value| !best_effort_alone || text(pod, "/status/qosClass") == "BestEffort";
        return Some(all("pods").filter(runs).filter(counts).count());
    }
    let name = resource.strip_prefix("count/").unwrap_or(resource);
    let kind = KINDS.iter().find(|kind| kind.qualified() == name)?;
    Some(all(kind.plural).count())
}
