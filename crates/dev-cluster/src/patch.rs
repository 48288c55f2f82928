//! Patches: JSON patch, merge patch, strategic merge patch, and the merge behind server-side apply.

use serde_json::{Map, Value};

use crate::error::{ApiError, ApiResult};

/// How a patch's body is to be read, by its content type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    pub fn from_content_type(content_type: &str) -> ApiResult<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => {
                let message = format!(
                    "the body of the request was in an unknown format - {other:?} is not one of \
                     application/json-patch+json, application/merge-patch+json, \
                     application/strategic-merge-patch+json, application/apply-patch+yaml"
                );
                Err(ApiError::new(415, "UnsupportedMediaType", message))
            }
        }
    }

    pub fn apply(self, target: &mut Value, patch: &Value) -> ApiResult<()> {
        match self {
            Self::Json => {
                let operations = serde_json::from_value::<json_patch::Patch>(patch.clone())
                    .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
                // The real server, too, calls a patch that does not fit the object invalid.
                json_patch::patch(target, &operations)
                    .map_err(|error| ApiError::new(422, "Invalid", format!("the server rejected our request: {error}")))
            }
            Self::Merge => {
                json_patch::merge(target, patch);
                Ok(())
            }
            Self::Strategic | Self::Apply => merge_object(target, patch),
        }
    }
}

/// The field that tells a list's items apart; `None` where the list is replaced as a whole.
fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    Some(match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims"
        | "secrets" => "name",
        "ports" if items.iter().any(|port| port.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "ownerReferences" => "uid",
        "conditions" => "type",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    })
}

fn list_is_a_set(field: &str) -> bool {
    matches!(field, "finalizers")
}

fn merge_object(target: &mut Value, patch: &Value) -> ApiResult<()> {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("delete") => {
            *target = Value::Null;
            return Ok(());
        }
        Some("replace") => *target = Value::Object(Map::new()),
        Some("merge") | None => {}
        Some(other) => {
            return Err(ApiError::bad_request(format!("unknown $patch directive {other:?}")));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return Ok(());
    };
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|field, _| retained.iter().any(|kept| kept == field));
    }
    for (field, value) in patch {
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        } else if !field.starts_with('$') {
            if value.is_null() {
                fields.remove(field);
            } else {
                merge_field(field, fields.entry(field.clone()).or_insert(Value::Null), value)?;
                if fields[field].is_null() {
                    fields.remove(field);
                }
            }
        }
    }
    for (field, order) in patch {
        if let Some(list) = field.strip_prefix("$setElementOrder/")
            && let (Some(items), Some(order)) = (fields.get_mut(list).and_then(Value::as_array_mut), order.as_array())
        {
            sort_like(items, order, list);
        }
    }
    Ok(())
}

fn merge_field(field: &str, target: &mut Value, patch: &Value) -> ApiResult<()> {
    let Value::Array(new) = patch else {
        return merge_object(target, patch);
    };
    let mut merged = match target.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    if let Some(key) = merge_key(field, new) {
        if new.iter().any(|item| item["$patch"] == "replace") {
            merged.clear();
        }
        for item in new {
            let Some(id) = item.get(key) else {
                // A lone `$patch: replace` says that the rest is the whole list.
                if item["$patch"] == "replace" {
                    continue;
                }
                let message = format!("map: {item} does not contain declared merge key: {key}");
                return Err(ApiError::bad_request(message));
            };
            let place = merged.iter().position(|old| is_same_item(old, item, key, id));
            if item["$patch"] == "delete" {
                merged.retain(|old| old.get(key) != Some(id));
            } else if let Some(place) = place {
                merge_object(&mut merged[place], item)?;
            } else {
                let mut fresh = Value::Null;
                merge_object(&mut fresh, item)?;
                merged.push(fresh);
            }
        }
    } else if list_is_a_set(field) {
        for item in new {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
    } else {
        merged = new.iter().map(without_nulls).collect();
    }
    *target = Value::Array(merged);
    Ok(())
}

/// Two ports with one number are two items when their protocols differ.
fn is_same_item(old: &Value, new: &Value, key: &str, id: &Value) -> bool {
    let protocols = (old.get("protocol"), new.get("protocol"));
    let differ = matches!(protocols, (Some(old), Some(new)) if old != new) && key.to_lowercase().ends_with("port");
    old.get(key) == Some(id) && !differ
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(field, value)| (field.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

/// Puts the listed items into the given order; others keep their places behind them.
fn sort_like(items: &mut [Value], order: &[Value], field: &str) {
    let key = merge_key(field, order);
    let place = |item: &Value| {
        order.iter().position(|wanted| key.map_or(wanted == item, |key| wanted.get(key) == item.get(key)))
    };
    items.sort_by_key(|item| place(item).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: PatchType, mut target: Value, patch: &Value, expected: &Value) {
        kind.apply(&mut target, patch).unwrap();
        assert_eq!(&target, expected, "after {patch}");
    }

    #[test]
    fn strategic_merge_knows_lists_by_their_keys() {
        let strategic = PatchType::Strategic;
        let pod = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
        check(
            strategic,
            pod.clone(),
            &json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}),
            &json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}),
        );
        check(
            strategic,
            pod.clone(),
            &json!({"containers": [{"$patch": "delete", "name": "a"}]}),
            &json!({"containers": [{"name": "b", "image": "1"}]}),
        );
        check(
            strategic,
            pod.clone(),
            &json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}),
            &json!({"containers": [{"name": "z"}]}),
        );
        check(
            strategic,
            pod,
            &json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}], "containers": [{"name": "c"}]}),
            &json!({"containers": [{"name": "c"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
        );
    }

    #[test]
    fn strategic_merge_follows_directives() {
        let strategic = PatchType::Strategic;
        check(
            strategic,
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "tolerations": [1], "x": 1}),
            &json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}, "tolerations": [2], "x": null}),
            &json!({"strategy": {"type": "Recreate"}, "tolerations": [2]}),
        );
        check(
            strategic,
            json!({"finalizers": ["a", "b"], "labels": {"a": "1"}}),
            &json!({"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"], "labels": {"$patch": "replace", "b": "2"}}),
            &json!({"finalizers": ["b", "c"], "labels": {"b": "2"}}),
        );
        check(
            strategic,
            json!({"ports": [{"containerPort": 53, "protocol": "UDP"}]}),
            &json!({"ports": [{"containerPort": 53, "protocol": "TCP"}]}),
            &json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}),
        );
        assert!(strategic.apply(&mut json!({}), &json!({"env": [{"value": "x"}]})).is_err());
    }

    #[test]
    fn merge_and_json_patches_follow_their_rfcs() {
        check(PatchType::Merge, json!({"a": {"b": 1, "c": 2}}), &json!({"a": {"b": null}}), &json!({"a": {"c": 2}}));
        check(
            PatchType::Json,
            json!({"a": [1, 2]}),
            &json!([{"op": "add", "path": "/a/-", "value": 3}, {"op": "remove", "path": "/a/0"}]),
            &json!({"a": [2, 3]}),
        );
        let failed = PatchType::Json.apply(&mut json!({}), &json!([{"op": "remove", "path": "/a"}])).unwrap_err();
        assert_eq!(failed.code(), 422);
        assert_eq!(PatchType::from_content_type("text/plain").unwrap_err().code(), 415);
    }
}
