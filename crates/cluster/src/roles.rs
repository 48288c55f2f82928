//! Who may do what in a cluster. What no rule names is refused.

use serde_json::{Value, json};

/// The API group of roles and bindings.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
/// What a key, and an account's writers, may do in a tenant's namespace.
pub(crate) const TENANT_ROLE: &str = "remotegpu:tenant";
/// What an account's readers may do there.
pub(crate) const VIEWER_ROLE: &str = "remotegpu:viewer";

const READ: [&str; 3] = ["get", "list", "watch"];
const ALL: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];
const SCALE: [&str; 3] = ["get", "update", "patch"];

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// The rules of `remotegpu:tenant`. What stands in none of them is left out on
/// purpose: service accounts and their tokens, roles and bindings (with them a
/// tenant would make credentials that no revocation reaches), quotas, limit
/// ranges and network policies (they bind the tenant), endpoints and endpoint
/// slices (they lead other people's traffic), the binding of pods to nodes, and
/// namespaces.
pub(crate) fn tenant_rules() -> Value {
    json!([
        // Work of any kind, and what it reads and is reached by. Secrets are the
        // tenant's own: nothing of ours is ever put in a tenant's namespace.
        rule(
            "",
            &[
                "pods",
                "services",
                "configmaps",
                "secrets",
                "persistentvolumeclaims"
            ],
            &ALL,
        ),
        // Looking at what runs.
        rule("", &["pods/log"], &["get"]),
        // Being in what runs. WebSocket clients open these by GET, older ones by
        // POST, and the verb follows the method.
        rule(
            "",
            &["pods/exec", "pods/attach", "pods/portforward"],
            &["get", "create"],
        ),
        // Why something does not run, and how much may: both are written by others.
        rule("", &["events", "resourcequotas"], &READ),
        rule("events.k8s.io", &["events"], &READ),
        // What makes pods, and changes their number.
        rule("apps", &["deployments", "statefulsets", "daemonsets"], &ALL),
        rule("apps", &["deployments/scale", "statefulsets/scale"], &SCALE),
        // A deployment's history, for `kubectl rollout`; the deployment writes it.
        rule("apps", &["replicasets"], &READ),
        rule("batch", &["jobs", "cronjobs"], &ALL),
        // How the world reaches a service.
        rule("networking.k8s.io", &["ingresses"], &ALL),
    ])
}

/// The rules of `remotegpu:viewer`: what a tenant sees, but no secrets, and
/// nothing that reaches into a pod (contract T4).
pub(crate) fn viewer_rules() -> Value {
    json!([
        rule(
            "",
            &[
                "pods",
                "services",
                "configmaps",
                "persistentvolumeclaims",
                "events",
                "resourcequotas",
            ],
            &READ,
        ),
        rule("", &["pods/log"], &["get"]),
        rule("events.k8s.io", &["events"], &READ),
        rule(
            "apps",
            &["deployments", "statefulsets", "daemonsets", "replicasets"],
            &READ,
        ),
        rule(
            "apps",
            &["deployments/scale", "statefulsets/scale"],
            &["get"]
        ),
        rule("batch", &["jobs", "cronjobs"], &READ),
        rule("networking.k8s.io", &["ingresses"], &READ),
    ])
}

/// What the control plane may do in the whole cluster. Kubernetes cannot bound a
/// right by a label, so the rights on namespaces and bindings are wider than
/// their use; the code touches only what carries our labels, and by UID.
pub(crate) fn control_plane_rules() -> Value {
    json!([
        // Tenants' namespaces are made, corrected by server-side apply, and
        // removed (contract N5). Nobody lists or watches them here.
        rule("", &["namespaces"], &["get", "create", "patch", "delete"]),
        // An identity is bound into the one namespace that it opens, and the sweep
        // finds the bindings of all of them (contract X9, X10). A binding is never
        // changed: it is deleted and made anew.
        rule(
            RBAC,
            &["rolebindings"],
            &["get", "list", "create", "delete"],
        ),
        // Kubernetes lets nobody give away rights that they do not have, save by
        // this verb: these two roles and no other can be bound.
        json!({
            "apiGroups": [RBAC],
            "resources": ["clusterroles"],
            "resourceNames": [TENANT_ROLE, VIEWER_ROLE],
            "verbs": ["bind"],
        }),
    ])
}

/// What the control plane may do among the identities, and there alone.
pub(crate) fn identity_rules() -> Value {
    json!([
        // Identities are made, found by the sweep, and ended. They are never changed.
        rule(
            "",
            &["serviceaccounts"],
            &["get", "list", "create", "delete"]
        ),
        // Tokens can be minted in this one namespace only (contract X9).
        rule("", &["serviceaccounts/token"], &["create"]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rules: &Value) -> Vec<(String, String)> {
        let list = |value: &Value| -> Vec<String> {
            let items = value.as_array().unwrap();
            items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect()
        };
        let rules = rules.as_array().unwrap();
        let grants = rules.iter().flat_map(|rule| {
            let verbs = list(&rule["verbs"]);
            let resources = list(&rule["resources"]).into_iter();
            resources.flat_map(move |resource| {
                verbs
                    .clone()
                    .into_iter()
                    .map(move |verb| (resource.clone(), verb))
            })
        });
        grants.collect()
    }

    #[test]
    fn a_viewer_sees_what_a_tenant_sees_but_no_secrets() {
        // T4
        let tenant = grants(&tenant_rules());
        for grant in grants(&viewer_rules()) {
            assert!(tenant.contains(&grant), "{grant:?}");
            assert!(READ.contains(&grant.1.as_str()), "{grant:?}");
            assert_ne!(grant.0, "secrets");
        }
    }

    #[test]
    fn no_rule_has_a_wildcard() {
        for rules in [
            tenant_rules(),
            viewer_rules(),
            control_plane_rules(),
            identity_rules(),
        ] {
            assert!(!rules.to_string().contains('*'));
        }
    }
}
