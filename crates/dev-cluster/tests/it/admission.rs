//! The hook for pods.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::actor::{deployment, items, start_in};

const PODS: &str = "/api/v1/namespaces/a/pods";

/// Refuses pods that ask for it, and labels all others.
fn hook(review: &Value) -> Value {
    let request = &review["request"];
    let response = if request["object"]["metadata"]["labels"]["app"] == "wrong" {
        json!({"uid": request["uid"], "allowed": false, "status": {"message": "no such SKU", "code": 403}})
    } else {
        let patch = json!([{"op": "add", "path": "/spec/nodeSelector", "value": {"sku": "x"}}]).to_string();
        let patch = base64::engine::general_purpose::STANDARD.encode(patch);
        json!({"uid": request["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch, "warnings": ["hm"]})
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_changes_and_refuses_pods_of_users_and_controllers() {
    let world = start_in(tempfile::tempdir().unwrap(), Some(Arc::new(|review| hook(&review)))).await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let pod = |app: &str| {
        let spec = json!({"containers": [{"name": "a", "image": "a"}]});
        json!({"metadata": {"name": app, "labels": {"app": app}}, "spec": spec})
    };
    let answer = admin.send(reqwest::Method::POST, PODS, "application/json", pod("right").to_string()).await;
    assert_eq!(answer.headers()["warning"], "299 - \"hm\"");
    let created: Value = answer.json().await.unwrap();
    assert_eq!(created["spec"]["nodeSelector"], json!({"sku": "x"}));
    let (code, status) = admin.post(PODS, pod("wrong")).await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().ends_with("denied the request: no such SKU"), "{status}");
    assert_eq!(admin.post(&format!("{PODS}?dryRun=All"), pod("wrong")).await.0, 403);

    let deployments = "/apis/apps/v1/namespaces/a/deployments";
    admin.make(deployments, deployment("wrong", 1)).await;
    let failed = |web: &Value| {
        let conditions = web["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| condition["type"] == "ReplicaFailure")
    };
    admin.wait(&format!("{deployments}/wrong"), |_, web| failed(web)).await;
    let (_, events) = admin.get("/api/v1/namespaces/a/events").await;
    assert_eq!(items(&events).len(), 1);
    assert_eq!(items(&events)[0]["reason"], "FailedCreate");
    assert!(items(&events)[0]["message"].as_str().unwrap().ends_with("no such SKU"));
    assert_eq!(items(&admin.get(PODS).await.1).len(), 1);
}
