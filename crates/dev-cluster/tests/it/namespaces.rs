//! Namespaces: what they hold from the start, and how they end.

use serde_json::json;

use crate::actor::{deployment, items, start};

#[tokio::test(flavor = "multi_thread")]
async fn namespace_is_furnished_and_emptied() {
    let world = start().await;
    let admin = &world.admin;
    let created = admin.make_namespace("team").await;
    assert_eq!(created["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");
    assert_eq!(created["status"]["phase"], "Active");
    assert_eq!(admin.get("/api/v1/namespaces/team/serviceaccounts/default").await.0, 200);
    let (_, ca) = admin.get("/api/v1/namespaces/team/configmaps/kube-root-ca.crt").await;
    assert_eq!(ca["data"]["ca.crt"], world.cluster.ca_pem());
    admin.make("/apis/apps/v1/namespaces/team/deployments", deployment("web", 3)).await;
    admin.wait("/api/v1/namespaces/team/pods", |_, list| items(list).len() == 3).await;

    let (code, going) = admin.delete("/api/v1/namespaces/team", json!({})).await;
    assert_eq!((code, &going["status"]["phase"]), (200, &json!("Terminating")));
    admin.wait("/api/v1/namespaces/team", |code, _| code == 404).await;
    for path in ["/api/v1/pods", "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"] {
        assert!(items(&admin.get(path).await.1).is_empty(), "{path}");
    }
    let (code, status) = admin.post("/api/v1/namespaces/team/configmaps", json!({"metadata": {"name": "x"}})).await;
    assert_eq!((code, &status["message"]), (404, &json!("namespaces \"team\" not found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_waits_for_finalizers_and_takes_nothing_new() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("team").await;
    let maps = "/api/v1/namespaces/team/configmaps";
    admin.make(maps, json!({"metadata": {"name": "kept", "finalizers": ["example.org/wait"]}})).await;
    admin.delete("/api/v1/namespaces/team", json!({})).await;
    let (code, status) = admin.post(maps, json!({"metadata": {"name": "late"}})).await;
    assert_eq!(code, 403);
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let kept = format!("{maps}/kept");
    admin.wait(&kept, |_, object| object["metadata"]["deletionTimestamp"].is_string()).await;
    admin.patch(&kept, "merge-patch+json", json!({"metadata": {"finalizers": null}})).await;
    admin.wait("/api/v1/namespaces/team", |code, _| code == 404).await;
    let (code, _) = admin.delete("/api/v1/namespaces/default", json!({})).await;
    assert_eq!(code, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_bodies_are_checked() {
    let world = start().await;
    let admin = &world.admin;
    for (body, code, reason) in [
        (json!({"metadata": {"name": "Bad_Name"}}), 422, "Invalid"),
        (json!({"metadata": {}}), 422, "Invalid"),
        (json!({"metadata": {"name": "default"}}), 409, "AlreadyExists"),
        (json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}), 400, "BadRequest"),
        (json!({"metadata": {"name": "x", "labels": "x"}}), 400, "BadRequest"),
        (json!({"metadata": {"name": "x", "resourceVersion": "1"}}), 500, "InternalError"),
        (json!([]), 400, "BadRequest"),
    ] {
        let (got, status) = admin.post("/api/v1/namespaces", body).await;
        assert_eq!((got, &status["reason"]), (code, &json!(reason)), "{status}");
        assert_eq!(status["kind"], "Status");
    }
    let broken = admin.send(reqwest::Method::POST, "/api/v1/namespaces", "application/json", "{".into()).await;
    assert_eq!(broken.status(), 400);
}
