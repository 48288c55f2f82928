//! What a cluster holds before anyone has made anything.

use serde_json::{Value, json};

use crate::cluster::{Cluster, Write};
use crate::error::ApiError;
use crate::kinds::{self, RBAC};
use crate::rbac::{MASTERS, User};

/// Makes the namespaces, roles and bindings that are missing.
pub(crate) fn run(cluster: &Cluster) -> Result<(), ApiError> {
    let user = User::named("system:apiserver", &[MASTERS]);
    let write = Write {
        user: &user,
        dry_run: false,
        subresource: "",
    };
    let namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"];
    let namespaces = namespaces
        .iter()
        .map(|name| ("namespaces", json!({"metadata": {"name": name}})));
    for (plural, object) in namespaces.chain(access()) {
        match cluster.create(kinds::by_plural(plural), "", object, &write) {
            Err(error) if error.code() != 409 => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn access() -> impl Iterator<Item = (&'static str, Value)> {
    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    let basic = json!([
        {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
         "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
        {"apiGroups": ["authentication.k8s.io"], "verbs": ["create"], "resources": ["selfsubjectreviews"]},
    ]);
    let discovery = json!([{
        "verbs": ["get"],
        "nonResourceURLs": [
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
            "/version", "/version/",
        ],
    }]);
    let public = json!([{
        "verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"],
    }]);
    let roles = [
        ("cluster-admin", everything, vec![MASTERS]),
        ("system:basic-user", basic, vec!["system:authenticated"]),
        ("system:discovery", discovery, vec!["system:authenticated"]),
        (
            "system:public-info-viewer",
            public,
            vec!["system:authenticated", "system:unauthenticated"],
        ),
    ];
    let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    roles.into_iter().flat_map(move |(name, rules, groups)| {
        let groups = groups
            .iter()
            .map(|group| json!({"apiGroup": RBAC, "kind": "Group", "name": group}));
        let metadata = json!({"name": name, "labels": labels});
        [
            (
                "clusterroles",
                json!({"metadata": metadata, "rules": rules}),
            ),
            (
                "clusterrolebindings",
                json!({
                    "metadata": metadata,
                    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
                    "subjects": groups.collect::<Vec<_>>(),
                }),
            ),
        ]
    })
}
