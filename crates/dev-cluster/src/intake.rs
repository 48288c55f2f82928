//! What is done to an object that comes in before it may be stored.

use serde_json::{Map, Value, json};

use crate::cluster::Write;
use crate::defaults;
use crate::error::{ApiError, ApiResult};
use crate::kinds::{Kind, RBAC};
use crate::meta::{check_name, name, new_uid, now, random_suffix, text};

/// Fields that, where they are given, hold fields themselves. Everything behind relies on it.
const OBJECTS: &str = "/metadata /metadata/labels /metadata/annotations /spec /status /data /stringData /roleRef \
    /spec/strategy /spec/podSelector /spec/template /spec/template/metadata /spec/template/metadata/labels \
    /spec/template/spec /spec/jobTemplate /spec/jobTemplate/spec /spec/jobTemplate/spec/template \
    /spec/jobTemplate/spec/template/metadata /spec/jobTemplate/spec/template/spec";
const LISTS: &[&str] = &["containers", "initContainers", "volumes", "ports", "subjects", "rules", "ownerReferences"];

/// The message for a field that holds something else than it should.
fn wrong_type(kind: &Kind, field: &str) -> ApiError {
    let version = kind.api_version();
    let version = version.rsplit('/').next().unwrap_or_default();
    ApiError::bad_request(format!("{} in version {version:?} cannot be handled as a {0}: {field}", kind.name))
}

fn check_lists(kind: &Kind, value: &Value) -> ApiResult<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_lists(kind, item)),
        Value::Object(fields) => fields.iter().try_for_each(|(field, value)| {
            let listed = LISTS.contains(&field.as_str());
            if listed && !value.is_null() && !value.as_array().is_some_and(|list| list.iter().all(Value::is_object)) {
                return Err(wrong_type(kind, &format!("{field} is not a list of objects")));
            }
            check_lists(kind, value)
        }),
        _ => Ok(()),
    }
}

fn check_shape(kind: &Kind, object: &Value) -> ApiResult<()> {
    let own_version = kind.api_version();
    let (version, named) = (text(object, "/apiVersion"), text(object, "/kind"));
    if !object.is_object()
        || (!version.is_empty() && version != own_version)
        || (!named.is_empty() && named != kind.name)
    {
        let message = format!("{named} in version {version:?} cannot be handled as a {}", kind.name);
        return Err(ApiError::bad_request(message));
    }
    for pointer in OBJECTS.split_whitespace() {
        if object.pointer(pointer).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return Err(wrong_type(kind, &format!("{pointer} is not an object")));
        }
    }
    for pointer in ["/metadata/labels", "/metadata/annotations"] {
        let values = object.pointer(pointer).and_then(Value::as_object);
        if values.into_iter().flatten().any(|(_, value)| !value.is_string()) {
            return Err(wrong_type(kind, &format!("{pointer} holds something else than text")));
        }
    }
    if !kind.group.is_empty() || kind.plural == "pods" {
        check_lists(kind, object)?;
    }
    Ok(())
}

/// Checks the outside of an object and puts what only the server says about it in order.
fn normalise(kind: &Kind, namespace: &str, object: &mut Value) -> ApiResult<()> {
    check_shape(kind, object)?;
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.name);
    let metadata = &mut object["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|field, value| !matches!(field.as_str(), "managedFields" | "selfLink") && !value.is_null());
    } else {
        *metadata = Value::Object(Map::new());
    }
    let written = text(metadata, "/namespace");
    if kind.namespaced && !written.is_empty() && written != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    if kind.namespaced {
        metadata["namespace"] = json!(namespace);
    } else if let Some(fields) = metadata.as_object_mut() {
        fields.remove("namespace");
    }
    Ok(())
}

/// A new object, complete but for what admission may change.
pub(crate) fn new_object(kind: &Kind, namespace: &str, mut object: Value) -> ApiResult<Value> {
    normalise(kind, namespace, &mut object)?;
    if !text(&object, "/metadata/resourceVersion").is_empty() {
        // The real server calls this an error of its own.
        return Err(ApiError::internal("resourceVersion should not be set on objects to be created"));
    }
    let prefix = text(&object, "/metadata/generateName").to_owned();
    if name(&object).is_empty() && !prefix.is_empty() {
        let prefix: String = prefix.chars().take(58).collect();
        object["metadata"]["name"] = json!(format!("{prefix}{}", random_suffix(5)));
    }
    check_name(kind, name(&object))?;
    if let Some(fields) = object.as_object_mut().filter(|_| kind.has_status()) {
        fields.remove("status");
    }
    let metadata = &mut object["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "deletionTimestamp" | "deletionGracePeriodSeconds"));
    }
    metadata["uid"] = json!(new_uid());
    metadata["creationTimestamp"] = json!(now());
    if kind.has_generation() {
        metadata["generation"] = json!(1);
    }
    defaults::complete(kind, &mut object);
    if kind.plural == "pods" {
        defaults::complete_new_pod(&mut object);
    }
    defaults::check(kind, &object)?;
    Ok(object)
}

/// The object that replaces `current`, from what a client made of it.
pub(crate) fn changed_object(kind: &Kind, current: &Value, mut object: Value, write: &Write) -> ApiResult<Value> {
    let (namespace, own_name) = (text(current, "/metadata/namespace"), name(current));
    normalise(kind, namespace, &mut object)?;
    if name(&object) != own_name {
        let message =
            format!("the name of the object ({}) does not match the name on the URL ({own_name})", name(&object));
        return Err(ApiError::bad_request(message));
    }
    let given = |field: &str| Some(text(&object, field)).filter(|text| !text.is_empty());
    if let Some(uid) = given("/metadata/uid").filter(|uid| *uid != text(current, "/metadata/uid")) {
        let stored = text(current, "/metadata/uid");
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}");
        return Err(ApiError::conflict(kind, own_name, &why));
    }
    if given("/metadata/resourceVersion").is_some_and(|version| version != text(current, "/metadata/resourceVersion")) {
        return Err(ApiError::modified(kind, own_name));
    }
    if write.subresource == "status" {
        let status = object["status"].take();
        object = current.clone();
        object["status"] = status;
        return Ok(object);
    }
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion"] {
        match current["metadata"].get(field) {
            Some(value) => object["metadata"][field] = value.clone(),
            None => drop(object["metadata"].as_object_mut().and_then(|fields| fields.remove(field))),
        }
    }
    if kind.has_status() {
        object["status"] = current["status"].clone();
    }
    for field in ["clusterIP", "clusterIPs"] {
        if kind.plural == "services" && object["spec"].get(field).is_none() {
            object["spec"][field] = current["spec"][field].clone();
        }
    }
    defaults::complete(kind, &mut object);
    defaults::check(kind, &object)?;
    check_immutable(kind, current, &object)?;
    if kind.has_generation() && object["spec"] != current["spec"] {
        object["metadata"]["generation"] = json!(current["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
    }
    Ok(object)
}

fn check_immutable(kind: &Kind, current: &Value, object: &Value) -> ApiResult<()> {
    let fields: &[(&str, &str, &str)] = match kind.plural {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => {
            &[("/spec/selector", "spec.selector", "field is immutable")]
        }
        "jobs" => &[("/spec/template", "spec.template", "field is immutable")],
        "secrets" => &[("/type", "type", "field is immutable")],
        _ if kind.group == RBAC => &[("/roleRef", "roleRef", "cannot change roleRef")],
        _ => &[],
    };
    for (pointer, field, why) in fields {
        if current.pointer(pointer) != object.pointer(pointer) {
            let value = object.pointer(pointer).cloned().unwrap_or_default();
            let message = format!("Invalid value: {value}: {why}");
            return Err(ApiError::invalid(kind, name(object), &[("FieldValueInvalid", field, message)]));
        }
    }
    if kind.plural == "pods" && fixed_part(current) != fixed_part(object) {
        let message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
             existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously \
             negative)";
        return Err(ApiError::invalid(kind, name(object), &[("FieldValueForbidden", "spec", message.to_owned())]));
    }
    Ok(())
}

/// The part of a pod that stays as it was created.
fn fixed_part(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "activeDeadlineSeconds" | "tolerations"));
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["image"] = Value::Null;
        }
    }
    spec
}
