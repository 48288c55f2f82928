//! Tables: what `kubectl get` prints.

use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::meta::{text, unix_now};

/// A column's name, and whether only `-o wide` shows it.
type Column = (&'static str, bool);

const NAME_AGE: &[Column] = &[("Name", false), ("Age", false)];

/// Objects as a table, with as much of each object in its row as was asked for.
pub(crate) fn table<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Value>,
    include: &str,
    version: &str,
    with_columns: bool,
) -> Value {
    let rows = objects.map(|object| {
        let whole = match include {
            "None" => Value::Null,
            "Object" => object.clone(),
            _ => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            }),
        };
        json!({"cells": cells(kind, object), "object": whole})
    });
    let rows = rows.collect::<Vec<_>>();
    let columns = columns(kind).iter().map(|(name, wide)| {
        let format = if *name == "Name" { "name" } else { "" };
        let kind = if matches!(*name, "Desired" | "Current" | "Data" | "Secrets" | "Up-to-date" | "Available") {
            "integer"
        } else {
            "string"
        };
        json!({"name": name, "type": kind, "format": format, "description": "", "priority": i32::from(*wide)})
    });
    let columns = columns.filter(|_| with_columns).collect::<Vec<_>>();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": columns, "rows": rows,
    })
}

fn columns(kind: &Kind) -> &'static [Column] {
    match kind.plural {
        "pods" => &[
            ("Name", false),
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            ("Age", false),
            ("IP", true),
            ("Node", true),
        ],
        "deployments" => &[
            ("Name", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
        ],
        "replicasets" => &[
            ("Name", false),
            ("Desired", false),
            ("Current", false),
            ("Ready", false),
            ("Age", false),
        ],
        "statefulsets" => &[("Name", false), ("Ready", false), ("Age", false)],
        "namespaces" => &[("Name", false), ("Status", false), ("Age", false)],
        "services" => &[
            ("Name", false),
            ("Type", false),
            ("Cluster-IP", false),
            ("External-IP", false),
            ("Port(s)", false),
            ("Age", false),
        ],
        "secrets" => &[
            ("Name", false),
            ("Type", false),
            ("Data", false),
            ("Age", false),
        ],
        "configmaps" => &[("Name", false), ("Data", false), ("Age", false)],
        "serviceaccounts" => &[("Name", false), ("Secrets", false), ("Age", false)],
        "rolebindings" | "clusterrolebindings" => {
            &[("Name", false), ("Role", false), ("Age", false)]
        }
        "roles" | "clusterroles" => &[("Name", false), ("Created At", false)],
        "networkpolicies" => &[("Name", false), ("Pod-Selector", false), ("Age", false)],
        "events" => &[
            ("Last Seen", false),
            ("Type", false),
            ("Reason", false),
            ("Object", false),
            ("Message", false),
        ],
        _ => NAME_AGE,
    }
}

fn cells(kind: &Kind, object: &Value) -> Value {
    let name = text(object, "/metadata/name");
    let age = age(text(object, "/metadata/creationTimestamp"));
    let spec = &object["spec"];
    let status = &object["status"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let entries = |value: &Value| value.as_object().map_or(0, serde_json::Map::len);
    let desired = count(&spec["replicas"]);
    match kind.plural {
        "pods" => {
            let states = status["containerStatuses"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let ready = states.iter().filter(|state| state["ready"] == true).count();
            let restarts: u64 = states
                .iter()
                .map(|state| count(&state["restartCount"]))
                .sum();
            let containers = spec["containers"].as_array().map_or(0, Vec::len);
            let none = |value: &Value| value.as_str().unwrap_or("<none>").to_owned();
            let (ip, node) = (none(&status["podIP"]), none(&spec["nodeName"]));
            json!([
                name,
                format!("{ready}/{containers}"),
                pod_status(object),
                restarts.to_string(),
                age,
                ip,
                node
            ])
        }
        "deployments" => {
            let ready = format!("{}/{desired}", count(&status["readyReplicas"]));
            let (updated, available) = (
                count(&status["updatedReplicas"]),
                count(&status["availableReplicas"]),
            );
            let listed = |field: &str| {
                let containers = spec["template"]["spec"]["containers"]
                    .as_array()
                    .into_iter()
                    .flatten();
                containers
                    .filter_map(|container| container[field].as_str())
                    .collect::<Vec<_>>()
                    .join(",")
            };
            json!([
                name,
                ready,
                updated,
                available,
                age,
                listed("name"),
                listed("image")
            ])
        }
        "replicasets" => {
            let ready = count(&status["readyReplicas"]);
            json!([
                name,
                desired,
                count(&status["replicas"]),
                ready.to_string(),
                age
            ])
        }
        "statefulsets" => json!([
            name,
            format!("{}/{desired}", count(&status["readyReplicas"])),
            age
        ]),
        "namespaces" => json!([name, status["phase"], age]),
        "services" => {
            let ports = spec["ports"].as_array().into_iter().flatten();
            let ports = ports.map(|port| format!("{}/{}", port["port"], text(port, "/protocol")));
            let ports = ports.collect::<Vec<_>>().join(",");
            json!([name, spec["type"], spec["clusterIP"], "<none>", ports, age])
        }
        "secrets" => json!([name, object["type"], entries(&object["data"]), age]),
        "configmaps" => json!([
            name,
            entries(&object["data"]) + entries(&object["binaryData"]),
            age
        ]),
        "serviceaccounts" => json!([name, object["secrets"].as_array().map_or(0, Vec::len), age]),
        "rolebindings" | "clusterrolebindings" => {
            let role = &object["roleRef"];
            json!([
                name,
                format!("{}/{}", text(role, "/kind"), text(role, "/name")),
                age
            ])
        }
        "roles" | "clusterroles" => json!([name, object["metadata"]["creationTimestamp"]]),
        "networkpolicies" => {
            let labels = spec["podSelector"]["matchLabels"]
                .as_object()
                .into_iter()
                .flatten();
            let labels =
                labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
            let labels = labels.collect::<Vec<_>>().join(",");
            json!([
                name,
                if labels.is_empty() {
                    "<none>".to_owned()
                } else {
                    labels
                },
                age
            ])
        }
        "events" => {
            let about = &object["involvedObject"];
            let about = format!(
                "{}/{}",
                text(about, "/kind").to_lowercase(),
                text(about, "/name")
            );
            json!([
                age,
                object["type"],
                object["reason"],
                about,
                object["message"]
            ])
        }
        _ => json!([name, age]),
    }
}

fn pod_status(pod: &Value) -> String {
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        return "Terminating".to_owned();
    }
    let states = pod["status"]["containerStatuses"].as_array();
    let waiting = states
        .into_iter()
        .flatten()
        .find_map(|state| state["state"]["waiting"]["reason"].as_str());
    let reason = pod["status"]["reason"].as_str();
    waiting
        .or(reason)
        .unwrap_or_else(|| text(pod, "/status/phase"))
        .to_owned()
}

/// The time since then in two units at most, as `kubectl` writes it.
fn age(since: &str) -> String {
    let then = time::OffsetDateTime::parse(since, &time::format_description::well_known::Rfc3339);
    then.map_or_else(
        |_| "<unknown>".to_owned(),
        |then| duration(unix_now() - then.unix_timestamp()),
    )
}

fn duration(seconds: i64) -> String {
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{}s", seconds.max(0)),
        ..600 => two(minutes, "m", seconds % 60, "s"),
        ..10_800 => format!("{minutes}m"),
        ..28_800 => two(hours, "h", minutes % 60, "m"),
        ..172_800 => format!("{hours}h"),
        ..691_200 => two(days, "d", hours % 24, "h"),
        ..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_kubectls() {
        for (seconds, expected) in [
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (660, "11m"),
            (10_800, "3h"),
            (12_060, "3h21m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (700_000, "8d"),
            (70_000_000, "2y80d"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
