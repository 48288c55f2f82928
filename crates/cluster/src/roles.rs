//! Who may do what in a cluster. What no rule names is refused.

use remotegpu_namespaces::ClusterAccess;
use serde_json::{Value, json};

use crate::{
    baseline_objects::{DEFAULT_ACCOUNT, NETWORK_POLICY, QUOTAS},
    claim::CLAIM,
    guards::GUARDS,
};

/// The API group of roles and bindings.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
/// What a key, and an account's writers, may do in a tenant's namespace.
pub(crate) const TENANT_ROLE: &str = ClusterAccess::Tenant.cluster_role();
/// What an account's readers may do there.
pub(crate) const VIEWER_ROLE: &str = ClusterAccess::Viewer.cluster_role();

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

/// One rule of a role, and why it stands there: the manifest says it beside the
/// rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) why: &'static str,
    pub(crate) rule: Value,
}

impl Rule {
    fn new(why: &'static str, group: &str, resources: &[&str], verbs: &[&str]) -> Self {
        let rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        Self { why, rule }
    }

    /// Holds for objects with these names alone.
    fn named(mut self, names: &[&str]) -> Self {
        self.rule["resourceNames"] = json!(names);
        self
    }
}

/// The rules of `remotegpu:tenant`. What stands in none of them is left out on
/// purpose: service accounts and their tokens, roles and bindings (with them a
/// tenant would make credentials that no revocation reaches), quotas, limit
/// ranges and network policies (they bind the tenant), endpoints and endpoint
/// slices (they lead other people's traffic), the binding of pods to nodes, and
/// namespaces but for a look at their own.
pub(crate) fn tenant_rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "Work of any kind, and what it reads and is reached by. Secrets are the tenant's own: \
             nothing of the control plane is ever put in a tenant's namespace.",
            "",
            &[
                "pods",
                "services",
                "configmaps",
                "secrets",
                "persistentvolumeclaims",
            ],
            &ALL,
        ),
        Rule::new("Looking at what runs.", "", &["pods/log"], &["get"]),
        Rule::new(
            "Being in what runs. WebSocket clients open these by GET, older ones by POST, and the \
             verb follows the method.",
            "",
            &["pods/exec", "pods/attach", "pods/portforward"],
            &["get", "create"],
        ),
        Rule::new(
            "Why something does not run, and how much may: both are written by others.",
            "",
            &["events", "resourcequotas"],
            &READ,
        ),
        Rule::new(
            "The same events, under the name that newer clients ask for.",
            "events.k8s.io",
            &["events"],
            &READ,
        ),
        Rule::new(
            "What makes pods.",
            "apps",
            &["deployments", "statefulsets", "daemonsets"],
            &ALL,
        ),
        Rule::new(
            "How many pods they make.",
            "apps",
            &["deployments/scale", "statefulsets/scale"],
            &SCALE,
        ),
        Rule::new(
            "A deployment's history, for kubectl rollout; the deployment writes it.",
            "apps",
            &["replicasets"],
            &READ,
        ),
        Rule::new(
            "What makes pods that end, and what makes these by the clock.",
            "batch",
            &["jobs", "cronjobs"],
            &ALL,
        ),
        Rule::new(
            "How the world reaches a service.",
            "networking.k8s.io",
            &["ingresses"],
            &ALL,
        ),
        Rule::new(
            "Its own namespace, which clients look up before they use it. Who is bound in one \
             namespace gets this one alone, and the list of all is refused.",
            "",
            &["namespaces"],
            &["get"],
        ),
    ]
}

/// The rules of `remotegpu:viewer`: what a tenant sees, but no secrets, and
/// nothing that reaches into a pod (contract T4).
pub(crate) fn viewer_rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "What runs, what it reads and is reached by, why it does not run, and how much may. No \
             secrets.",
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
        Rule::new("What it says.", "", &["pods/log"], &["get"]),
        Rule::new(
            "The same events, under the name that newer clients ask for.",
            "events.k8s.io",
            &["events"],
            &READ,
        ),
        Rule::new(
            "What makes the pods.",
            "apps",
            &["deployments", "statefulsets", "daemonsets", "replicasets"],
            &READ,
        ),
        Rule::new(
            "How many pods they make.",
            "apps",
            &["deployments/scale", "statefulsets/scale"],
            &["get"],
        ),
        Rule::new(
            "What makes pods that end.",
            "batch",
            &["jobs", "cronjobs"],
            &READ,
        ),
        Rule::new(
            "How the world reaches a service.",
            "networking.k8s.io",
            &["ingresses"],
            &READ,
        ),
        Rule::new(
            "Its own namespace, which clients look up before they use it. Who is bound in one \
             namespace gets this one alone, and the list of all is refused.",
            "",
            &["namespaces"],
            &["get"],
        ),
    ]
}

/// What the control plane may do in the whole cluster. Kubernetes cannot bound a
/// right by a label, so the rights on namespaces and bindings are wider than
/// their use; the code touches only what carries our labels, and by UID. All
/// other rights hold for fixed names: a list with `metadata.name` as its field
/// selector counts as one for that name.
pub(crate) fn control_plane_rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "Tenants' namespaces are made, found and corrected by the sweep, and removed. \
             Kubernetes cannot bound this by a label; the control plane touches only those that \
             carry its own.",
            "",
            &["namespaces"],
            &["get", "list", "create", "patch", "delete"],
        ),
        Rule::new(
            "Each tenant's namespace has these quotas, and the sweep finds those that are missing \
             or changed.",
            "",
            &["resourcequotas"],
            &["get", "list", "create", "patch"],
        )
        .named(&QUOTAS),
        Rule::new(
            "The same for its network policy.",
            "networking.k8s.io",
            &["networkpolicies"],
            &["get", "list", "create", "patch"],
        )
        .named(&[NETWORK_POLICY]),
        Rule::new(
            "Pods get no token of the account that they run as unless they ask for it. The cluster \
             makes the account, and now and then not before it is applied.",
            "",
            &["serviceaccounts"],
            &["get", "list", "create", "patch"],
        )
        .named(&[DEFAULT_ACCOUNT]),
        Rule::new(
            "An identity is bound into the one namespace that it opens, an account's members into \
             each of the account's, and the sweep finds the bindings of all of them. A binding is \
             never changed: it is deleted and made anew.",
            RBAC,
            &["rolebindings"],
            &["get", "list", "create", "delete"],
        ),
        Rule::new(
            "Kubernetes lets nobody give away rights that they do not have, save by this verb: \
             these two roles and no other can be bound.",
            RBAC,
            &["clusterroles"],
            &["bind"],
        )
        .named(&[TENANT_ROLE, VIEWER_ROLE]),
        Rule::new(
            "remotegpu-api check compares them with what it would apply itself: an older version's, \
             or one that somebody has changed, gives tenants other rights.",
            RBAC,
            &["clusterroles"],
            &["get"],
        )
        .named(&[TENANT_ROLE, VIEWER_ROLE]),
        Rule::new(
            "The same for what admission refuses.",
            "admissionregistration.k8s.io",
            &[
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
            ],
            &["get"],
        )
        .named(&GUARDS.each_ref().map(|guard| guard.name)),
    ]
}

/// What the control plane may do among the identities and with its claim, and there
/// alone.
pub(crate) fn identity_rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "Identities are made, found by the sweep, and ended. They are never changed.",
            "",
            &["serviceaccounts"],
            &["get", "list", "create", "delete"],
        ),
        Rule::new(
            "Tokens can be minted in this one namespace only.",
            "",
            &["serviceaccounts/token"],
            &["create"],
        ),
        Rule::new(
            "One object says which database acts in this cluster: a copy, or one that was restored \
             from a backup, is found out by it and does nothing here.",
            "",
            &["configmaps"],
            &["get", "update"],
        )
        .named(&[CLAIM]),
        Rule::new(
            "It is made once. Kubernetes cannot bound what is made by a name.",
            "",
            &["configmaps"],
            &["create"],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rules: &[Rule]) -> Vec<(String, String)> {
        let list = |value: &Value| -> Vec<String> {
            let items = value.as_array().unwrap();
            items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect()
        };
        let grants = rules.iter().flat_map(|Rule { rule, .. }| {
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
            for rule in rules {
                assert!(!rule.rule.to_string().contains('*'), "{rule:?}");
            }
        }
    }
}
