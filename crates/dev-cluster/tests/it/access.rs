//! RBAC: who may do what, and in which words it is refused.

use serde_json::{Value, json};

use crate::actor::start;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[tokio::test(flavor = "multi_thread")]
async fn stranger_sees_health_and_version_only() {
    let world = start().await;
    for actor in [world.admin.with_token(None), world.admin.with_token(Some("wrong"))] {
        for path in ["/version"] {
            assert_eq!(actor.get(path).await.0, 200, "{path}");
        }
        let health = actor.send(reqwest::Method::GET, "/readyz", "", String::new()).await;
        assert_eq!(health.text().await.unwrap(), "ok");
        for path in ["/api", "/apis", "/api/v1/namespaces", "/api/v1/namespaces/default/secrets", "/nothing"] {
            let (code, status) = actor.get(path).await;
            assert_eq!((code, &status["reason"]), (401, &json!("Unauthorized")), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn account_may_do_what_its_role_says() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    admin.make_namespace("b").await;
    let bot = admin.account("a", "bot").await;
    let (code, status) = bot.get("/api/v1/namespaces/a/pods").await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "pods is forbidden: User \"system:serviceaccount:a:bot\" cannot list resource \"pods\" in API group \"\" in the \
         namespace \"a\""
    );
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get", "update"]},
    ]);
    admin.allow("a", "bot", rules).await;
    for (path, expected) in [
        ("/api/v1/namespaces/a/pods", 200),
        ("/api/v1/namespaces/a/pods/x", 404),
        ("/api/v1/namespaces/a/pods/x/log", 403),
        ("/api/v1/namespaces/b/pods", 403),
        ("/api/v1/pods", 403),
        ("/api/v1/namespaces/a/configmaps/one", 404),
        ("/api/v1/namespaces/a/configmaps/two", 403),
        ("/api/v1/namespaces/a/configmaps", 403),
        ("/apis/apps/v1/namespaces/a/deployments/x/scale", 404),
        ("/apis/apps/v1/namespaces/a/deployments/x", 403),
        ("/apis/example.org/v1/widgets", 403),
        ("/apis", 200),
        ("/metrics", 403),
    ] {
        assert_eq!(bot.get(path).await.0, expected, "{path}");
    }
    let (_, status) = bot.get("/api/v1/pods").await;
    assert!(status["message"].as_str().unwrap().ends_with("at the cluster scope"), "{status}");
    // Without the binding the same token is refused at once.
    admin.delete(&format!("{RBAC}/namespaces/a/rolebindings/bot"), json!({})).await;
    assert_eq!(bot.get("/api/v1/namespaces/a/pods").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_grants_more_than_they_hold() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let bot = admin.account("a", "bot").await;
    let roles = format!("{RBAC}/namespaces/a/roles");
    let bindings = format!("{RBAC}/namespaces/a/rolebindings");
    let held = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]);
    // The verb `*` holds `escalate` and `bind` as well, so the verbs are spelled out.
    let mut plain = held.clone();
    plain[0]["verbs"] = json!(["create", "update", "get"]);
    admin.allow("a", "bot", plain).await;
    let role = |name: &str, verb: &str| {
        let granted = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]);
        json!({"metadata": {"name": name}, "rules": granted})
    };
    let binding = |name: &str, role: &str| {
        json!({
            "metadata": {"name": name}, "subjects": [{"kind": "User", "name": "x"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        })
    };
    assert_eq!(bot.post(&roles, role("held", "get")).await.0, 201);
    let (code, status) = bot.post(&roles, role("more", "delete")).await;
    assert_eq!(code, 403);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("is attempting to grant RBAC permissions not currently held"), "{message}");
    assert!(message.ends_with(r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#), "{message}");
    admin.make(&roles, role("more", "delete")).await;
    assert_eq!(bot.post(&bindings, binding("held", "held")).await.0, 201);
    assert_eq!(bot.post(&bindings, binding("more", "more")).await.0, 403);
    assert_eq!(bot.post(&bindings, binding("none", "none")).await.0, 404);
    let mut wider = role("bot", "get");
    wider["rules"] = held;
    wider["rules"][0]["verbs"] = json!(["create", "update", "get", "bind", "escalate"]);
    admin.put(&format!("{roles}/bot"), wider).await;
    assert_eq!(bot.post(&bindings, binding("more", "more")).await.0, 201);
    let (code, status) = admin.put(&format!("{bindings}/more"), binding("more", "held")).await;
    assert_eq!(code, 422, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_reviews_answer_as_requests_would() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let bot = admin.account("a", "bot").await;
    admin.allow("a", "bot", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])).await;
    let reviews = "/apis/authorization.k8s.io/v1";
    let ask = |verb: &str| json!({"namespace": "a", "verb": verb, "resource": "pods"});
    for (verb, allowed) in [("list", true), ("delete", false)] {
        let spec = json!({"spec": {"resourceAttributes": ask(verb)}});
        let answer = bot.make(&format!("{reviews}/selfsubjectaccessreviews"), spec).await;
        assert_eq!(answer["status"]["allowed"], allowed, "{answer}");
        let user = "system:serviceaccount:a:bot";
        let spec = json!({"spec": {"resourceAttributes": ask(verb), "user": user}});
        assert_eq!(bot.post(&format!("{reviews}/subjectaccessreviews"), spec.clone()).await.0, 403);
        let answer = admin.make(&format!("{reviews}/subjectaccessreviews"), spec.clone()).await;
        assert_eq!(answer["status"]["allowed"], allowed);
        let local = format!("{reviews}/namespaces/a/localsubjectaccessreviews");
        assert_eq!(admin.make(&local, spec).await["status"]["allowed"], allowed);
    }
    let path = json!({"spec": {"nonResourceAttributes": {"path": "/apis/apps", "verb": "get"}}});
    let answer = bot.make(&format!("{reviews}/selfsubjectaccessreviews"), path).await;
    assert_eq!(answer["status"]["allowed"], true);
    let rules = bot.make(&format!("{reviews}/selfsubjectrulesreviews"), json!({"spec": {"namespace": "a"}})).await;
    let listed = rules["status"]["resourceRules"].as_array().unwrap();
    assert!(listed.contains(&json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]})), "{rules}");
    let me = bot.make("/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({})).await;
    let user: &Value = &me["status"]["userInfo"];
    assert_eq!(user["username"], "system:serviceaccount:a:bot");
    assert_eq!(user["groups"], json!(["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]));
}
