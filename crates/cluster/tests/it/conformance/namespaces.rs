use std::time::{Duration, Instant};

use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterStatus, Namespace, NamespaceProvisioner,
};
use serde_json::json;

use crate::subject::{Subject, name, namespace, path_of};

pub async fn cluster_is_unknown_until_it_was_asked(subject: &Subject) {
    // N0
    let clusters = &subject.clusters;
    assert_eq!(clusters.status(&name()), ClusterStatus::Unknown);
    let version = clusters.probe(&name()).await.unwrap();
    assert!(version.starts_with("v1."), "{version}");
    assert_eq!(
        clusters.status(&name()),
        ClusterStatus::Available(Some(version))
    );
    let [known] = &clusters.list()[..] else {
        panic!("one cluster is configured")
    };
    let ca = known.certificate_authority_pem.as_deref().unwrap();
    assert!(known.server.starts_with("https://127.0.0.1:"));
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----\n"));
}

pub async fn namespace_is_provisioned_with_labels_and_again(subject: &Subject) {
    // N5
    let namespace = subject.namespace("made").await;
    let made = subject.admin.done("GET", &path_of(&namespace), None).await;
    assert_eq!(made["status"]["phase"], "Active");
    let labels = &made["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/managed-by"], "remotegpu");
    assert_eq!(
        labels["remotegpu.ai/namespace-id"],
        namespace.id.to_string()
    );
    assert_eq!(
        labels["remotegpu.ai/account-id"],
        namespace.account_id.to_string()
    );

    subject.clusters.provision(&namespace).await.unwrap();
    let again = subject.admin.done("GET", &path_of(&namespace), None).await;
    assert_eq!(again["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(
        again["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
}

pub async fn namespace_of_others_is_neither_adopted_nor_removed(subject: &Subject) {
    // N5: neither one without our label, nor one of ours with another's.
    let foreign = namespace("foreign");
    let body = json!({"metadata": {"name": foreign.kubernetes_namespace.as_str()}});
    subject
        .admin
        .done("POST", "/api/v1/namespaces", Some(body))
        .await;
    let ours = subject.namespace("ours").await;
    let other = Namespace {
        kubernetes_namespace: ours.kubernetes_namespace.clone(),
        ..namespace("ours")
    };
    for taken in [foreign, other] {
        let before = subject.admin.done("GET", &path_of(&taken), None).await;
        let refused = subject.clusters.provision(&taken).await.unwrap_err();
        assert!(
            matches!(refused, ClusterError::Refused { .. }),
            "{refused:?}"
        );
        assert!(subject.clusters.remove(&taken).await.unwrap());
        let after = subject.admin.done("GET", &path_of(&taken), None).await;
        assert_eq!(after["metadata"], before["metadata"]);
    }
}

pub async fn lost_labels_come_back(subject: &Subject) {
    let namespace = subject.namespace("bent").await;
    let bent = json!({"metadata": {"labels": {
        "remotegpu.ai/account-id": null, "app.kubernetes.io/managed-by": "other", "kept": "yes",
    }}});
    subject
        .admin
        .done("PATCH", &path_of(&namespace), Some(bent))
        .await;
    subject.clusters.provision(&namespace).await.unwrap();
    let after = subject.admin.done("GET", &path_of(&namespace), None).await;
    let labels = &after["metadata"]["labels"];
    assert_eq!(
        labels["remotegpu.ai/account-id"],
        namespace.account_id.to_string()
    );
    assert_eq!(labels["app.kubernetes.io/managed-by"], "remotegpu");
    assert_eq!(labels["kept"], "yes");
}

pub async fn namespace_is_removed_once_and_for_all(subject: &Subject) {
    // N5
    let namespace = subject.namespace("gone").await;
    // Something in it that holds the end up, so that "going" is seen.
    let held = json!({"metadata": {"name": "held", "finalizers": ["remotegpu.ai/test"]}});
    let held_at = format!("{}/configmaps", path_of(&namespace));
    subject.admin.done("POST", &held_at, Some(held)).await;
    assert!(!subject.clusters.remove(&namespace).await.unwrap());
    assert!(!subject.clusters.remove(&namespace).await.unwrap());
    let refused = subject.clusters.provision(&namespace).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );

    let freed = json!({"metadata": {"finalizers": null}});
    let held_at = format!("{held_at}/held");
    subject.admin.done("PATCH", &held_at, Some(freed)).await;
    let began = Instant::now();
    while !subject.clusters.remove(&namespace).await.unwrap() {
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(subject.admin.get(&path_of(&namespace)).await.0, 404);
    assert!(subject.clusters.remove(&namespace).await.unwrap());
}
