use std::time::Duration;

use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterStatus, Namespace, NamespaceProvisioner, Removal,
};
use remotegpu_test_support::stopwatch::{Stopwatch, eventually};
use serde_json::json;

use crate::{
    conformance::baseline::objects,
    subject::{Subject, is_labelled_for, name, namespace, path_of},
};

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
    is_labelled_for(&made, &namespace);

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
        let removal = subject.clusters.remove(&taken).await.unwrap();
        assert_eq!(removal, Removal::Gone);
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
    is_labelled_for(&after, &namespace);
    assert_eq!(after["metadata"]["labels"]["kept"], "yes");
}

pub async fn namespace_is_removed_once_and_for_all(subject: &Subject) {
    // N5
    let namespace = subject.namespace("gone").await;
    // Something in it that holds the end up, so that "going" is seen.
    let held = json!({"metadata": {"name": "held", "finalizers": ["remotegpu.ai/test"]}});
    let held_at = format!("{}/configmaps", path_of(&namespace));
    subject.admin.done("POST", &held_at, Some(held)).await;
    for _ in 0..2 {
        let removal = subject.clusters.remove(&namespace).await.unwrap();
        assert!(matches!(removal, Removal::Going { .. }), "{removal:?}");
    }
    let refused = subject.clusters.provision(&namespace).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );

    let freed = json!({"metadata": {"finalizers": null}});
    let held_at = format!("{held_at}/held");
    subject.admin.done("PATCH", &held_at, Some(freed)).await;
    eventually("it is gone", Duration::from_mins(1), async || {
        subject.clusters.remove(&namespace).await.unwrap() == Removal::Gone
    })
    .await;
    assert_eq!(subject.admin.get(&path_of(&namespace)).await.0, 404);
    let again = subject.clusters.remove(&namespace).await.unwrap();
    assert_eq!(again, Removal::Gone);
}

pub async fn survey_finds_what_is_ours_and_whether_it_is_whole(subject: &Subject) {
    // N5
    let [whole, bent, other] = [
        subject.namespace("surveyed").await,
        subject.namespace("surveyed-bent").await,
        subject.namespace("surveyed-empty").await,
    ];
    let look = async |namespace: &Namespace| {
        let located = subject.clusters.survey(&name()).await.unwrap();
        let mut found = located
            .into_iter()
            .filter(|located| located.id == Some(namespace.id));
        let one = found.next();
        assert_eq!(found.next(), None);
        one
    };
    let seen = look(&whole).await.unwrap();
    assert_eq!(seen.account_id, Some(whole.account_id));
    assert_eq!(seen.object.name, whole.kubernetes_namespace.as_str());
    assert!(seen.is_whole && !seen.is_going);

    let [policy, _, _, quota, account, ..] = objects(&bent);
    let open = json!({"spec": {"egress": [{}]}});
    let privileged =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    for (path, change) in [
        (policy, open),
        (quota, json!({"spec": {"hard": {"pods": "9999"}}})),
        (account, json!({"automountServiceAccountToken": null})),
        (path_of(&bent), privileged),
    ] {
        subject.admin.done("PATCH", &path, Some(change)).await;
        assert!(!look(&bent).await.unwrap().is_whole, "{path}");
        subject.clusters.provision(&bent).await.unwrap();
        assert!(look(&bent).await.unwrap().is_whole, "{path}");
    }
    let [policy, ..] = objects(&bent);
    subject.admin.done("DELETE", &policy, None).await;
    assert!(!look(&bent).await.unwrap().is_whole);
    assert!(look(&whole).await.unwrap().is_whole);

    let seen = look(&other).await.unwrap();
    let mut stale = seen.clone();
    "00000000-0000-0000-0000-000000000000".clone_into(&mut stale.object.uid);
    subject.clusters.discard(&stale).await.unwrap();
    assert!(!look(&other).await.unwrap().is_going);
    subject.clusters.discard(&seen).await.unwrap();
    eventually("it goes", Duration::from_secs(10), async || {
        look(&other).await.is_none_or(|seen| seen.is_going)
    })
    .await;
}

/// What only a cluster with all its controllers tells.
pub async fn what_holds_a_namespace_is_told(subject: &Subject) {
    // N5
    let namespace = subject.namespace("held").await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["remotegpu.ai/test"]}});
    let held_at = format!("{}/configmaps", path_of(&namespace));
    subject.admin.done("POST", &held_at, Some(held)).await;
    let watch = Stopwatch::start();
    let told = loop {
        match subject.clusters.remove(&namespace).await.unwrap() {
            Removal::Going {
                held_by: Some(told),
            } => break told,
            Removal::Going { held_by: None } => {}
            Removal::Gone => panic!("it is gone"),
        }
        assert!(!watch.is_over(Duration::from_secs(30)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(told.contains("remotegpu.ai/test"), "{told}");
    let freed = json!({"metadata": {"finalizers": null}});
    let held_at = format!("{held_at}/held");
    subject.admin.done("PATCH", &held_at, Some(freed)).await;
}
