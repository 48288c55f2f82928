use remotegpu_namespaces::{ClusterError, Namespace, NamespaceProvisioner};
use serde_json::{Value, json};

use crate::subject::{Subject, is_labelled_for, name, path_of};

/// Where the objects of the baseline stand in the namespace.
pub fn objects(namespace: &Namespace) -> [String; 7] {
    let own = namespace.kubernetes_namespace.as_str();
    [
        format!("/apis/networking.k8s.io/v1/namespaces/{own}/networkpolicies/remotegpu-tenant"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-objects"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-compute"),
        format!("/api/v1/namespaces/{own}/resourcequotas/remotegpu-best-effort"),
        format!("/api/v1/namespaces/{own}/serviceaccounts/default"),
        format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{own}/rolebindings/remotegpu-readers"
        ),
        format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{own}/rolebindings/remotegpu-writers"
        ),
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
    let [policy, quota, _, _, account, ..] = objects(&namespace);
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
    let [
        policy,
        objects_quota,
        compute_quota,
        best_effort,
        account,
        ..,
    ] = objects(&namespace);
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

pub async fn bindings_of_the_account_are_put_right_where_they_are_bent(subject: &Subject) {
    // T4
    let namespace = subject.namespace("bent-groups").await;
    let [.., readers, writers] = objects(&namespace);
    let located = async || {
        let located = subject.clusters.survey(&name()).await.unwrap();
        let mut found = located.into_iter();
        found
            .find(|located| located.id == Some(namespace.id))
            .unwrap()
    };
    let bound = async |path: &str| {
        let found = get(subject, path).await;
        is_labelled_for(&found, &namespace);
        let subjects = found["subjects"].as_array().unwrap().iter();
        let names = subjects.map(|subject| {
            assert_eq!(subject["kind"], "Group");
            subject["name"].as_str().unwrap().to_owned()
        });
        let role = found["roleRef"]["name"].as_str().unwrap().to_owned();
        (role, names.collect::<Vec<_>>())
    };
    let group = |role: &str| format!("remotegpu:account:{}:{role}", namespace.account_id);
    let wanted_readers = ("remotegpu:viewer".to_owned(), vec![group("read")]);
    let wanted_writers = (
        "remotegpu:tenant".to_owned(),
        vec![group("write"), group("admin")],
    );
    let somebody = json!([{
        "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "somebody",
    }]);
    for (path, bent) in [
        (&readers, json!({"subjects": somebody})),
        (&writers, json!({"subjects": somebody})),
        (&writers, json!({"subjects": null})),
    ] {
        subject.admin.done("PATCH", path, Some(bent)).await;
        assert!(!located().await.is_whole);
        subject.clusters.provision(&namespace).await.unwrap();
        assert!(located().await.is_whole);
        assert_eq!(bound(&readers).await, wanted_readers);
        assert_eq!(bound(&writers).await, wanted_writers);
    }
    // What it binds to cannot be changed, only made otherwise.
    let mut wider = get(subject, &readers).await;
    subject.admin.done("DELETE", &readers, None).await;
    assert!(!located().await.is_whole);
    wider["roleRef"]["name"] = json!("remotegpu:tenant");
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        wider["metadata"].as_object_mut().unwrap().remove(field);
    }
    let (collection, _) = readers.rsplit_once('/').unwrap();
    subject.admin.done("POST", collection, Some(wider)).await;
    assert!(!located().await.is_whole);
    subject.clusters.provision(&namespace).await.unwrap();
    assert_eq!(bound(&readers).await, wanted_readers);
    assert!(located().await.is_whole);
}
