use std::time::Duration;

use remotegpu_namespaces::{ClusterDirectory, ClusterStatus, NamespaceProvisioner};
use remotegpu_test_support::stopwatch::eventually;
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    conformance::enforced::tenant,
    subject::{CREDENTIALS, Subject, name, namespace, path_of, token_request, until_status},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const NET: &str = "networking.k8s.io";

/// What a tenant does all day.
const WORK: [(&str, &str); 13] = [
    ("", "pods"),
    ("", "services"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "persistentvolumeclaims"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    (NET, "ingresses"),
    ("apps", "deployments/scale"),
    ("apps", "statefulsets/scale"),
];

/// What is only to be read.
const SIGHTS: [(&str, &str); 4] = [
    ("", "events"),
    ("", "resourcequotas"),
    ("apps", "replicasets"),
    ("", "pods/log"),
];

/// What binds the tenant, or would make it somebody else.
const CLOSED: [(&str, &str); 15] = [
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("", "limitranges"),
    ("", "endpoints"),
    ("discovery.k8s.io", "endpointslices"),
    ("", "pods/binding"),
    ("", "bindings"),
    ("", "pods/status"),
    ("", "namespaces/status"),
    ("", "namespaces/finalize"),
    ("", "nodes"),
    (RBAC, "roles"),
    (RBAC, "rolebindings"),
    (RBAC, "clusterroles"),
    (NET, "networkpolicies"),
];

const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// Looking at its own namespace, which clients do before they use it, and at no other one.
async fn sees_its_own_namespace_alone(actor: &Actor, own: &str) {
    let path = format!("/api/v1/namespaces/{own}");
    let (status, found) = actor.get(&path).await;
    assert_eq!((status, &found["metadata"]["name"]), (200, &json!(own)));
    for path in [
        "/api/v1/namespaces".to_owned(),
        "/api/v1/namespaces?watch=true".to_owned(),
        format!("/api/v1/namespaces?fieldSelector=metadata.name%3D{own}"),
        format!("/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3D{own}"),
        format!("{path}/status"),
        "/api/v1/namespaces/default".to_owned(),
        "/api/v1/namespaces/remotegpu-credentials".to_owned(),
        "/api/v1/namespaces/no-such-namespace".to_owned(),
    ] {
        let (status, answer) = actor.get(&path).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    for verb in ["list", "watch", "bind", "escalate"]
        .into_iter()
        .chain(WRITES)
    {
        assert!(!actor.may(own, verb, "", "namespaces").await, "{verb}");
    }
    for elsewhere in ["", "default", "kube-system"] {
        let may = actor.may(elsewhere, "get", "", "namespaces").await;
        assert!(!may, "{elsewhere:?}");
    }
}

pub async fn tenant_may_work_and_reach_nothing_that_binds_it(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "working").await;
    let (own, tenant) = (
        tenant.namespace.kubernetes_namespace.as_str(),
        &tenant.actor,
    );
    for (group, resource) in WORK {
        for verb in ["get", "update", "patch"] {
            assert!(
                tenant.may(own, verb, group, resource).await,
                "{verb} {resource}"
            );
        }
        let whole = !resource.contains('/');
        for verb in ["create", "delete", "list", "watch"] {
            assert_eq!(
                tenant.may(own, verb, group, resource).await,
                whole,
                "{verb} {resource}"
            );
        }
    }
    for verb in ["get", "create"] {
        for resource in ["pods/exec", "pods/attach", "pods/portforward"] {
            assert!(
                tenant.may(own, verb, "", resource).await,
                "{verb} {resource}"
            );
        }
    }
    for (group, resource) in SIGHTS {
        assert!(tenant.may(own, "get", group, resource).await, "{resource}");
        for verb in WRITES {
            assert!(
                !tenant.may(own, verb, group, resource).await,
                "{verb} {resource}"
            );
        }
    }
    for (group, resource) in CLOSED {
        for verb in ["get", "list", "watch", "bind", "escalate", "impersonate"] {
            assert!(
                !tenant.may(own, verb, group, resource).await,
                "{verb} {resource}"
            );
        }
        for verb in WRITES {
            assert!(
                !tenant.may(own, verb, group, resource).await,
                "{verb} {resource}"
            );
        }
    }
    sees_its_own_namespace_alone(tenant, own).await;
    for (group, resource) in WORK {
        for elsewhere in ["", "default", "kube-system", "remotegpu-credentials"] {
            let may = tenant.may(elsewhere, "get", group, resource).await;
            assert!(!may, "{resource} in {elsewhere:?}");
        }
    }
}

pub async fn viewer_sees_and_changes_nothing(subject: &Subject) {
    // T4
    let namespace = subject.namespace("seen").await;
    let account = json!({"metadata": {"name": "viewer"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    subject.admin.done("POST", accounts, Some(account)).await;
    let binding = json!({
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "remotegpu:viewer"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "viewer"}],
    });
    let own = namespace.kubernetes_namespace.as_str();
    let bindings = format!("/apis/{RBAC}/v1/namespaces/{own}/rolebindings");
    // With the control plane's own credential: it may bind this role.
    let control_plane = subject.control_plane().await;
    control_plane.done("POST", &bindings, Some(binding)).await;
    let token = format!("{accounts}/viewer/token");
    let token = subject
        .admin
        .done("POST", &token, Some(token_request()))
        .await;
    let viewer = subject
        .actor(token["status"]["token"].as_str().unwrap())
        .await;
    until_status(&viewer, &format!("{}/pods", path_of(&namespace)), 200).await;
    for (group, resource) in WORK.into_iter().chain(SIGHTS) {
        let sees = viewer.may(own, "get", group, resource).await;
        assert_eq!(sees, resource != "secrets", "{resource}");
        for verb in WRITES {
            assert!(
                !viewer.may(own, verb, group, resource).await,
                "{verb} {resource}"
            );
        }
    }
    sees_its_own_namespace_alone(&viewer, own).await;
    for resource in ["pods/exec", "pods/attach", "pods/portforward"] {
        assert!(!viewer.may(own, "get", "", resource).await, "{resource}");
        assert!(!viewer.may(own, "create", "", resource).await, "{resource}");
    }
}

/// Whether somebody of this group may do something.
async fn may_as(
    subject: &Subject,
    group: &str,
    (namespace, verb): (&str, &str),
    what: (&str, &str),
) -> bool {
    let (resource, subresource) = what.1.split_once('/').unwrap_or((what.1, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "remotegpu:user:somebody",
            "groups": [group, "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": what.0,
                "resource": resource, "subresource": subresource,
            },
        },
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let answer = subject.admin.done("POST", path, Some(review)).await;
    answer["status"]["allowed"] == true
}

pub async fn members_may_what_their_role_says_in_their_accounts_namespaces(subject: &Subject) {
    // T4
    let (mine, theirs) = (
        subject.namespace("members").await,
        subject.namespace("strangers").await,
    );
    let (own, foreign) = (
        mine.kubernetes_namespace.as_str(),
        theirs.kubernetes_namespace.as_str(),
    );
    let group = |role: &str| format!("remotegpu:account:{}:{role}", mine.account_id);
    eventually("the bindings count", Duration::from_secs(15), async || {
        may_as(subject, &group("read"), (own, "get"), ("", "pods")).await
            && may_as(subject, &group("write"), (own, "get"), ("", "pods")).await
    })
    .await;
    for role in ["read", "write", "admin", "other", ""] {
        let known = ["read", "write", "admin"].contains(&role);
        let works = known && role != "read";
        let group = group(role);
        for what in WORK.into_iter().chain(SIGHTS) {
            let sees = may_as(subject, &group, (own, "get"), what).await;
            assert_eq!(
                sees,
                known && (works || what.1 != "secrets"),
                "{role}: {what:?}"
            );
            for place in [foreign, "default", "remotegpu-credentials", ""] {
                let sees = may_as(subject, &group, (place, "get"), what).await;
                assert!(!sees, "{role} in {place:?}: {what:?}");
            }
        }
        for what in WORK {
            let writes = may_as(subject, &group, (own, "update"), what).await;
            assert_eq!(writes, works, "{role}: {what:?}");
        }
        for what in CLOSED {
            for verb in WRITES
                .into_iter()
                .chain(["get", "list", "bind", "escalate"])
            {
                let may = may_as(subject, &group, (own, verb), what).await;
                assert!(!may, "{role}: {verb} {what:?}");
            }
        }
    }
}

/// Whoever asks is refused, by the route itself.
async fn refused(actor: &Actor, asks: Vec<(&str, String, Value)>) {
    for (method, path, body) in asks {
        let body = Some(body).filter(|body| !body.is_null());
        let (status, answer) = actor.ask(method, &path, body).await;
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
}

fn binding_to(role: &str) -> Value {
    json!({
        "metadata": {"name": "taken"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "default"}],
    })
}

pub async fn tenant_is_refused_by_the_routes_themselves(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "refused").await;
    let (own, tenant) = (
        tenant.namespace.kubernetes_namespace.as_str(),
        &tenant.actor,
    );
    let core = format!("/api/v1/namespaces/{own}");
    let rbac = format!("/apis/{RBAC}/v1/namespaces/{own}");
    let named = json!({"metadata": {"name": "taken"}});
    let config = json!({"metadata": {"name": "mine"}, "data": {"a": "b"}});
    tenant
        .done("POST", &format!("{core}/configmaps"), Some(config))
        .await;
    refused(
        tenant,
        vec![
            ("POST", format!("{core}/serviceaccounts"), named.clone()),
            (
                "POST",
                format!("{core}/serviceaccounts/default/token"),
                token_request(),
            ),
            ("POST", format!("{CREDENTIALS}/any/token"), token_request()),
            ("POST", format!("{core}/resourcequotas"), named.clone()),
            ("POST", format!("{core}/limitranges"), named.clone()),
            ("POST", format!("{core}/endpoints"), named.clone()),
            ("GET", format!("{core}/serviceaccounts"), Value::Null),
            ("POST", format!("{rbac}/roles"), named.clone()),
            (
                "POST",
                format!("{rbac}/rolebindings"),
                binding_to("remotegpu:tenant"),
            ),
            ("GET", format!("{rbac}/rolebindings"), Value::Null),
            (
                "DELETE",
                format!("{rbac}/rolebindings/remotegpu-readers"),
                Value::Null,
            ),
            (
                "PATCH",
                format!("{rbac}/rolebindings/remotegpu-writers"),
                json!({"subjects": null}),
            ),
            (
                "GET",
                format!("/apis/{NET}/v1/namespaces/{own}/networkpolicies"),
                Value::Null,
            ),
            (
                "PATCH",
                core.clone(),
                json!({"metadata": {"labels": {"a": "b"}}}),
            ),
            ("DELETE", core, Value::Null),
            ("POST", "/api/v1/namespaces".to_owned(), named),
        ],
    )
    .await;
}

pub async fn control_plane_has_no_right_that_it_does_not_need(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "guarded").await;
    let own = tenant.namespace.kubernetes_namespace.as_str();
    let control_plane = subject.control_plane().await;
    let rbac = format!("/apis/{RBAC}/v1");
    let named = json!({"metadata": {"name": "taken"}});
    let role = json!({"metadata": {"name": "taken"}, "rules": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    ]});
    let widened = json!({"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}]});
    let bindings = format!("{rbac}/namespaces/{own}/rolebindings");
    let accounts = |namespace: &str| format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let policies = format!("/apis/{NET}/v1/namespaces/{own}/networkpolicies");
    let itself = format!(
        "{}/remotegpu-control-plane/token",
        accounts("remotegpu-system")
    );
    refused(
        &control_plane,
        vec![
            ("GET", "/api/v1/secrets".to_owned(), Value::Null),
            (
                "GET",
                format!("/api/v1/namespaces/{own}/secrets"),
                Value::Null,
            ),
            (
                "GET",
                "/api/v1/namespaces/kube-system/secrets".to_owned(),
                Value::Null,
            ),
            ("GET", format!("/api/v1/namespaces/{own}/pods"), Value::Null),
            ("GET", "/api/v1/nodes".to_owned(), Value::Null),
            ("GET", "/api/v1/resourcequotas".to_owned(), Value::Null),
            ("GET", "/api/v1/serviceaccounts".to_owned(), Value::Null),
            ("GET", policies.clone(), Value::Null),
            ("POST", policies.clone(), named.clone()),
            (
                "DELETE",
                format!("{policies}/remotegpu-tenant"),
                Value::Null,
            ),
            (
                "PATCH",
                format!("{}/other", accounts(own)),
                json!({"automountServiceAccountToken": true}),
            ),
            (
                "POST",
                format!("{}/default/token", accounts("kube-system")),
                token_request(),
            ),
            (
                "POST",
                format!("{}/default/token", accounts(own)),
                token_request(),
            ),
            ("POST", itself, token_request()),
            ("POST", accounts("kube-system"), named.clone()),
            ("POST", accounts("remotegpu-system"), named),
            (
                "POST",
                format!("{rbac}/clusterrolebindings"),
                binding_to("cluster-admin"),
            ),
            (
                "POST",
                format!("{rbac}/clusterrolebindings"),
                binding_to("remotegpu:tenant"),
            ),
            ("POST", bindings, binding_to("cluster-admin")),
            ("POST", format!("{rbac}/clusterroles"), role.clone()),
            ("POST", format!("{rbac}/namespaces/{own}/roles"), role),
            (
                "PATCH",
                format!("{rbac}/clusterroles/remotegpu:tenant"),
                widened,
            ),
        ],
    )
    .await;
    for (group, resource) in [("", "users"), ("", "groups"), ("", "serviceaccounts")] {
        let may = control_plane.may("", "impersonate", group, resource).await;
        assert!(!may, "{resource}");
    }
}

pub async fn control_plane_outlives_its_token(subject: &Subject) {
    let before = subject.control_plane().await;
    let review = "/api/v1/namespaces/default";
    assert_eq!(before.get(review).await.0, 200);
    let accounts = "/api/v1/namespaces/remotegpu-system/serviceaccounts";
    let path = format!("{accounts}/remotegpu-control-plane");
    subject.admin.done("DELETE", &path, None).await;
    until_status(&before, review, 401).await;
    // Nothing is minted for what is not there.
    let made = namespace("after");
    subject.clusters.provision(&made).await.unwrap_err();
    until_down(subject, true).await;

    let account = json!({"metadata": {"name": "remotegpu-control-plane"}});
    subject.admin.done("POST", accounts, Some(account)).await;
    until_down(subject, false).await;
    subject.clusters.provision(&made).await.unwrap();
}

/// R10: by its probe, which the control plane's own credential brings.
async fn until_down(subject: &Subject, down: bool) {
    let what = format!("it is down: {down}");
    eventually(&what, Duration::from_secs(9), async || {
        let _ = subject.clusters.probe(&name()).await;
        match subject.clusters.status(&name()) {
            ClusterStatus::Unavailable => down,
            ClusterStatus::Available(Some(_)) => !down,
            _ => false,
        }
    })
    .await;
}
