//! Tables: what `kubectl get` prints.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::kinds::Kind;
use crate::meta::{text, unix_now};

/// A column: its heading, what it shows, and perhaps that only `-o wide` shows it.
type Column = Vec<String>;

fn columns(kind: &Kind) -> &'static [Column] {
    static FILE: LazyLock<HashMap<String, Vec<Column>>> =
        LazyLock::new(|| serde_saphyr::from_str(include_str!("columns.yaml")).unwrap_or_default());
    FILE.get(kind.plural).or_else(|| FILE.get("others")).map(Vec::as_slice).unwrap_or_default()
}

/// Objects as a table, with as much of each object in its row as was asked for.
pub(crate) fn table<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Value>,
    include: &str,
    version: &str,
    with_columns: bool,
) -> Value {
    let columns = columns(kind);
    let rows = objects.map(|object| {
        let whole = match include {
            "None" => Value::Null,
            "Object" => object.clone(),
            _ => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            }),
        };
        let cells = columns.iter().map(|column| cell(object, column.get(1).map_or("", String::as_str)));
        json!({"cells": cells.collect::<Vec<_>>(), "object": whole})
    });
    let rows = rows.collect::<Vec<_>>();
    let columns = columns.iter().filter(|_| with_columns).map(|column| {
        let shows = |start: &str| column.get(1).is_some_and(|what| what.starts_with(start));
        json!({
            "name": column.first(), "format": if shows("name") { "name" } else { "" }, "description": "",
            "type": if shows("#") || shows("count") { "integer" } else { "string" },
            "priority": i32::from(column.len() > 2),
        })
    });
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": columns.collect::<Vec<_>>(), "rows": rows,
    })
}

fn cell(object: &Value, what: &str) -> Value {
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let containers = list("/status/containerStatuses");
    match what {
        "name" => json!(text(object, "/metadata/name")),
        "age" => json!(age(text(object, "/metadata/creationTimestamp"))),
        "ready containers" => {
            let ready = containers.iter().filter(|state| state["ready"] == true).count();
            json!(format!("{ready}/{}", list("/spec/containers").len()))
        }
        "restarts" => {
            let restarts = containers.iter().filter_map(|state| state["restartCount"].as_u64());
            json!(restarts.sum::<u64>().to_string())
        }
        "pod status" => json!(pod_status(object)),
        "ready replicas" => json!(format!("{}/{}", count("/status/readyReplicas"), count("/spec/replicas"))),
        "ports" => {
            let ports = list("/spec/ports").iter();
            json!(joined(ports.map(|port| format!("{}/{}", port["port"], text(port, "/protocol")))))
        }
        "role" => json!(format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"))),
        "pod selector" => {
            let labels = object["spec"]["podSelector"]["matchLabels"].as_object().into_iter().flatten();
            json!(joined(labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))))
        }
        "involved object" => {
            let kind = text(object, "/involvedObject/kind").to_lowercase();
            json!(format!("{kind}/{}", text(object, "/involvedObject/name")))
        }
        _ => match (what.strip_prefix('#'), what.strip_prefix("count "), what.strip_prefix("each ")) {
            (Some(place), ..) => {
                json!(list(place).len() + object.pointer(place).and_then(Value::as_object).map_or(0, Map::len))
            }
            (_, Some(place), _) => json!(count(place)),
            (.., Some(field)) => {
                let containers = list("/spec/template/spec/containers").iter();
                json!(joined(containers.map(|container| container[field].as_str().unwrap_or_default().to_owned())))
            }
            _ => object.pointer(what).filter(|value| !value.is_null()).cloned().unwrap_or_else(|| json!("<none>")),
        },
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts = parts.collect::<Vec<_>>();
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn pod_status(pod: &Value) -> String {
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        return "Terminating".to_owned();
    }
    let states = pod["status"]["containerStatuses"].as_array();
    let waiting = states.into_iter().flatten().find_map(|state| state["state"]["waiting"]["reason"].as_str());
    let reason = pod["status"]["reason"].as_str();
    waiting.or(reason).unwrap_or_else(|| text(pod, "/status/phase")).to_owned()
}

/// The time since then in two units at most, as `kubectl` writes it.
fn age(since: &str) -> String {
    let then = time::OffsetDateTime::parse(since, &time::format_description::well_known::Rfc3339);
    then.map_or_else(|_| "<unknown>".to_owned(), |then| duration(unix_now() - then.unix_timestamp()))
}

fn duration(seconds: i64) -> String {
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{}s", seconds.max(0)),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
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
