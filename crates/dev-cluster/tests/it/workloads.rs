//! Deployments, which end in pods that wait for ever.

use serde_json::{Value, json};

use crate::actor::{deployment, items, start};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/a/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/a/replicasets";
const PODS: &str = "/api/v1/namespaces/a/pods";

#[tokio::test(flavor = "multi_thread")]
async fn deployment_makes_pods_that_wait() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let created = admin.make(DEPLOYMENTS, deployment("web", 2)).await;
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    let path = format!("{DEPLOYMENTS}/web");
    let ready = admin.wait(&path, |_, web| web["status"]["unavailableReplicas"] == 2 && web["status"]["replicas"] == 2);
    let ready = ready.await;
    assert_eq!(ready["status"]["observedGeneration"], 1);
    let (_, pods) = admin.get(PODS).await;
    let pod = &items(&pods)[0];
    let set = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap();
    let hash = pod["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set, format!("web-{hash}"));
    assert_eq!(pod["status"]["phase"], "Pending");
    let condition = &pod["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("PodScheduled"), &json!("Unschedulable")));
    assert!(condition["message"].as_str().unwrap().contains("nothing runs in the development cluster"));
    assert_eq!(pod["spec"]["serviceAccountName"], "default");

    // A stand-in for a node marks a pod as ready, and everybody counts it.
    let name = pod["metadata"]["name"].as_str().unwrap();
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    let (code, _) = admin.patch(&format!("{PODS}/{name}/status"), "strategic-merge-patch+json", running).await;
    assert_eq!(code, 200);
    let counts = |web: &Value| web["status"]["readyReplicas"] == 1 && web["status"]["unavailableReplicas"] == 1;
    admin.wait(&path, |_, web| counts(web)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_and_new_templates_are_followed() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    admin.make(DEPLOYMENTS, deployment("web", 1)).await;
    let path = format!("{DEPLOYMENTS}/web");
    let scale = json!({"spec": {"replicas": 3}});
    let (code, scaled) = admin.patch(&format!("{path}/scale"), "merge-patch+json", scale).await;
    assert_eq!((code, &scaled["kind"]), (200, &json!("Scale")));
    admin.wait(PODS, |_, pods| items(pods).len() == 3).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}}});
    let (code, changed) = admin.patch(&path, "strategic-merge-patch+json", image).await;
    assert_eq!((code, &changed["metadata"]["generation"]), (200, &json!(3)));
    let new = |pods: &Value| items(pods).iter().all(|pod| pod["spec"]["containers"][0]["image"] == "nginx:2");
    admin.wait(PODS, |_, pods| items(pods).len() == 3 && new(pods)).await;
    assert_eq!(items(&admin.get(SETS).await.1).len(), 2);
    let web = admin.wait(&path, |_, web| web["status"]["updatedReplicas"] == 3).await;
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    admin.patch(&path, "merge-patch+json", json!({"spec": {"replicas": 0}})).await;
    admin.wait(PODS, |_, pods| items(pods).is_empty()).await;
    admin.delete(&path, json!({"propagationPolicy": "Foreground"})).await;
    admin.wait(SETS, |_, sets| items(sets).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_deployments_are_refused() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    admin.make(DEPLOYMENTS, deployment("web", 1)).await;
    let mut other = deployment("other", 1);
    other["spec"]["selector"]["matchLabels"]["app"] = json!("wrong");
    let (code, status) = admin.post(DEPLOYMENTS, other.clone()).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("`selector` does not match template `labels`"), "{status}");
    let selector = json!({"spec": {
        "selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}},
    }});
    let (code, status) = admin.patch(&format!("{DEPLOYMENTS}/web"), "merge-patch+json", selector).await;
    assert_eq!(code, 422, "{status}");
    other["spec"]["template"]["spec"] = json!({});
    assert_eq!(admin.post(DEPLOYMENTS, other).await.0, 422);
    let pod = json!({"metadata": {"name": "x"}, "spec": {
        "serviceAccountName": "none", "containers": [{"name": "a", "image": "a"}],
    }});
    let (code, status) = admin.post(PODS, pod).await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("error looking up service account a/none"), "{status}");
}
