use remotegpu_namespaces::{ClusterError, Namespace, NamespaceProvisioner};
use serde_json::{Value, json};

use crate::subject::{Subject, is_labelled_for, path_of};

/// Where the objects of the baseline stand in the namespace.
pub fn objects(namespace: &Namespace) -> [String; 5] {
    let own = namespace.kubernetes_namespace.as_str();
    [
        format!("/apis/networking.k8s.io/v1/namespaces/{own}/networkpolicies/remotegpu-tenant"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-objects"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-compute"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-best-effort"),
        format!("/api/v1/namespaces/{own}/serviceaccounts/default"),
    ]
}

async fn get(subject: &Subject, path: &str) -> Value {
    subject.admin.done("GET", path, None).await
}

pub async fn active_namespace_holds_the_whole_baseline(subject: &Subject) {
    // N5
    let namespace = subject.namespace("whole").await;
    let made = get(subject, &path_of(&namespace)).await;
    for (mode, level) in [
        ("enforce", "baseline"),
        ("warn", "restricted"),
        ("audit", "restricted"),
    ] {
        let labels = &made["metadata"]["labels"];
        let label = format!("pod-security.kubernetes.io/{mode}");
        assert_eq!(labels[&label], level);
        assert_eq!(labels[format!("{label}-version")], "v1.34");
    }
    let mut versions = Vec::new();
    for path in objects(&namespace) {
        let object = get(subject, &path).await;
        is_labelled_for(&object, &namespace);
        if object["spec"]["hard"].is_object() {
            // It counts already: nothing slips in before it does.
            assert_eq!(object["status"]["hard"], object["spec"]["hard"], "{path}");
        }
        versions.push(object["metadata"]["resourceVersion"].clone());
    }
    let [policy, quota, .., account] = objects(&namespace);
    let policy = get(subject, &policy).await;
    assert_eq!(policy["spec"]["podSelector"], json!({}));
    assert_eq!(
        policy["spec"]["ingress"],
        json!([{"from": [{"podSelector": {}}]}])
    );
    let quota = get(subject, &quota).await;
    assert_eq!(quota["spec"]["hard"]["services.loadbalancers"], "0");
    assert_eq!(quota["spec"]["hard"]["services.nodeports"], "0");
    let account = get(subject, &account).await;
    assert_eq!(account["automountServiceAccountToken"], false);

    // Once more, and nothing changes.
    subject.clusters.provision(&namespace).await.unwrap();
    for (path, version) in objects(&namespace).iter().zip(versions) {
        let again = get(subject, path).await;
        assert_eq!(again["metadata"]["resourceVersion"], version, "{path}");
    }
}

pub async fn whatever_of_the_baseline_is_bent_or_gone_comes_back(subject: &Subject) {
    // N5
    let namespace = subject.namespace("drifted").await;
    let [policy, objects_quota, compute_quota, best_effort, account] = objects(&namespace);
    let own = path_of(&namespace);
    let before = get(subject, &policy).await;
    let open = json!({"spec": {"egress": [{}], "ingress": [{}]}});
    let bent = [
        (&policy, open),
        (
            &objects_quota,
            json!({"spec": {"hard": {"services.nodeports": "9"}}}),
        ),
        (
            &compute_quota,
            json!({"spec": {"hard": {"requests.cpu": null}}}),
        ),
        (
            &best_effort,
            json!({"metadata": {"labels": {"remotegpu.ai/account-id": null}}}),
        ),
        (&account, json!({"automountServiceAccountToken": true})),
        (
            &own,
            json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}),
        ),
    ];
    for (path, bent) in bent {
        subject.admin.done("PATCH", path, Some(bent)).await;
    }
    subject.clusters.provision(&namespace).await.unwrap();
    assert_eq!(get(subject, &policy).await["spec"], before["spec"]);
    let hard = |quota: &Value, name: &str| quota["spec"]["hard"][name].clone();
    let quota = get(subject, &objects_quota).await;
    assert_eq!(hard(&quota, "services.nodeports"), "0");
    let quota = get(subject, &compute_quota).await;
    assert_eq!(hard(&quota, "requests.cpu"), "256");
    let quota = get(subject, &best_effort).await;
    let label = &quota["metadata"]["labels"]["remotegpu.ai/account-id"];
    assert_eq!(*label, namespace.account_id.to_string());
    let found = get(subject, &account).await;
    assert_eq!(found["automountServiceAccountToken"], false);
    let made = get(subject, &own).await;
    let label = &made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(label, "baseline");

    for path in objects(&namespace) {
        subject.admin.done("DELETE", &path, None).await;
    }
    subject.clusters.provision(&namespace).await.unwrap();
    assert_eq!(get(subject, &policy).await["spec"], before["spec"]);
    for path in objects(&namespace) {
        get(subject, &path).await;
    }
}

pub async fn object_of_others_in_the_way_is_not_adopted(subject: &Subject) {
    // N5
    let namespace = subject.namespace("occupied").await;
    let [policy, quota, ..] = objects(&namespace);
    for (path, spec) in [
        (
            policy,
            json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
        ),
        (quota, json!({"hard": {"pods": "1"}})),
    ] {
        subject.admin.done("DELETE", &path, None).await;
        let (collection, name) = path.rsplit_once('/').unwrap();
        let foreign = json!({"metadata": {"name": name}, "spec": spec});
        let foreign = subject.admin.done("POST", collection, Some(foreign)).await;
        let refused = subject.clusters.provision(&namespace).await.unwrap_err();
        assert!(
            matches!(&refused, ClusterError::Refused { reason } if reason.contains(name)),
            "{refused:?}"
        );
        let after = get(subject, &path).await;
        assert_eq!(after["metadata"]["uid"], foreign["metadata"]["uid"]);
        assert_eq!(after["metadata"]["labels"], Value::Null);
        assert_eq!(after["spec"], foreign["spec"]);
        subject.admin.done("DELETE", &path, None).await;
        subject.clusters.provision(&namespace).await.unwrap();
    }
}

pub async fn namespace_that_lost_its_label_is_still_ours(subject: &Subject) {
    // N5: the guards hold by this label alone.
    let namespace = subject.namespace("unlabelled").await;
    let bent = json!({"metadata": {"labels": {"remotegpu.ai/namespace-id": null}}});
    let path = path_of(&namespace);
    subject.admin.done("PATCH", &path, Some(bent)).await;
    subject.clusters.provision(&namespace).await.unwrap();
    let after = get(subject, &path).await;
    let label = &after["metadata"]["labels"]["remotegpu.ai/namespace-id"];
    assert_eq!(*label, namespace.id.to_string());
}
