//! What the server says about itself: its version, its kinds, and the little of OpenAPI that
//! `kubectl apply` asks for.

use serde_json::{Map, Value, json};

use crate::kinds::{Family, GROUPS, KINDS, Kind, group_version};

const MINOR: &str = "33";
const GIT_VERSION: &str = "v1.33.0";

/// The document at a path that is no resource; `None` where there is none.
pub(crate) fn document(path: &str) -> Option<Value> {
    let parts = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let known = |group: &str| GROUPS.contains(&group) && !group.is_empty();
    match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        })),
        ["apis"] => {
            let groups = GROUPS[1..].iter().map(|group| api_group(group)).collect::<Vec<_>>();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] if known(group) => {
            let mut group = api_group(group);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            Some(group)
        }
        ["api", "v1"] => Some(resource_list("")),
        ["apis", group, "v1"] if known(group) => Some(resource_list(group)),
        ["openapi", "v3"] => {
            let paths = GROUPS.iter().map(|group| {
                let path = root(group);
                let url = format!("/openapi/v3/{path}?hash={GIT_VERSION}");
                (path, json!({"serverRelativeURL": url}))
            });
            Some(json!({"paths": paths.collect::<Map<_, _>>()}))
        }
        ["openapi", "v3", "api", "v1"] => Some(openapi("")),
        ["openapi", "v3", "apis", group, "v1"] if known(group) => Some(openapi(group)),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-04-23T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

fn root(group: &str) -> String {
    if group.is_empty() { "api/v1".to_owned() } else { format!("apis/{group}/v1") }
}

fn of_group(group: &str) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| kind.group == group)
}

fn api_group(group: &str) -> Value {
    let version = json!({"groupVersion": group_version(group), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// What a subresource takes and answers: group, version, kind and verbs.
fn subresource(kind: &Kind, name: &str) -> (&'static str, &'static str, String, &'static [&'static str]) {
    match name {
        "scale" => ("autoscaling", "v1", "Scale".to_owned(), &["get", "patch", "update"]),
        "token" => ("authentication.k8s.io", "v1", "TokenRequest".to_owned(), &["create"]),
        "log" => ("", "", kind.name.to_owned(), &["get"]),
        _ => ("", "", kind.name.to_owned(), &["get", "patch", "update"]),
    }
}

fn categories(kind: &Kind) -> Value {
    let all = matches!(kind.group, "apps" | "batch") || matches!(kind.plural, "pods" | "services");
    if all { json!(["all"]) } else { json!([]) }
}

fn resource_list(group: &str) -> Value {
    let mut resources = Vec::new();
    for kind in of_group(group) {
        let singular = kind.name.to_lowercase();
        resources.push(json!({
            "name": kind.plural, "singularName": singular, "namespaced": kind.namespaced, "kind": kind.name,
            "verbs": kind.verbs(), "shortNames": kind.short, "categories": categories(kind),
        }));
        for name in kind.subresources {
            let (group, version, answer, verbs) = subresource(kind, name);
            let path = format!("{}/{name}", kind.plural);
            resources.push(json!({
                "name": path, "singularName": "", "namespaced": kind.namespaced, "group": group, "version": version,
                "kind": answer, "verbs": verbs,
            }));
        }
    }
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group), "resources": resources,
    })
}

/// Just enough for `kubectl` to learn that the server checks fields itself, so that it needs no schema.
fn openapi(group: &str) -> Value {
    let paths = of_group(group).filter(|kind| kind.family == Family::Stored).map(|kind| {
        let namespace = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let parameter = json!({
            "name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true},
        });
        let patch = json!({
            "parameters": [parameter],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind.name},
        });
        (format!("/{}/{namespace}{}/{{name}}", root(group), kind.plural), json!({"patch": patch}))
    });
    let paths = paths.collect::<Map<_, _>>();
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": GIT_VERSION}, "paths": paths})
}
