use std::time::Duration;

use remotegpu_cluster::{Finding, Verdict, apply_prerequisites};
use remotegpu_namespaces::TokenLifetime;
use remotegpu_primitives::Clock;
use remotegpu_test_support::stopwatch::Stopwatch;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::subject::{Subject, name};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

/// The machine's own time, and so much more.
struct Off(time::Duration);

impl Clock for Off {
    fn now(&self) -> OffsetDateTime {
        let since = std::time::SystemTime::UNIX_EPOCH;
        #[allow(
            clippy::disallowed_methods,
            reason = "The cluster's clock is the machine's."
        )]
        let now = std::time::SystemTime::now().duration_since(since).unwrap();
        OffsetDateTime::UNIX_EPOCH + now + self.0
    }
}

async fn inspected(subject: &Subject, off: time::Duration) -> Vec<Finding> {
    let (name, clock) = (name(), Off(off));
    let found = subject.clusters.inspect(&name, TokenLifetime::MAX, &clock);
    found.await.unwrap()
}

fn wrong(findings: &[Finding]) -> Vec<&str> {
    let found = findings.iter();
    let found = found.filter(|finding| finding.verdict == Verdict::Wrong);
    found.map(|finding| finding.sentence.as_str()).collect()
}

/// Inspects until exactly this much is wrong: rights take a moment to count.
async fn until_wrong(subject: &Subject, count: usize) -> Vec<Finding> {
    let watch = Stopwatch::start();
    loop {
        let findings = inspected(subject, time::Duration::ZERO).await;
        if wrong(&findings).len() == count {
            return findings;
        }
        assert!(
            !watch.is_over(Duration::from_secs(10)),
            "not {count}: {findings:#?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn prepared_cluster_has_nothing_wrong(subject: &Subject) {
    // R3
    let findings = inspected(subject, time::Duration::ZERO).await;
    let says = |part: &str| findings.iter().any(|found| found.sentence.contains(part));
    assert!(
        findings.iter().all(|found| found.verdict == Verdict::Fine),
        "{findings:#?}"
    );
    for part in [
        "Kubernetes v1.",
        "system:serviceaccount:remotegpu-system:remotegpu-control-plane",
        "clock and ours agree",
        "rights that the control plane needs are there",
        "stands there unchanged",
        "gives tokens for 3600 seconds",
    ] {
        assert!(says(part), "{part}: {findings:#?}");
    }
}

pub async fn clock_that_is_off_is_told(subject: &Subject) {
    // R3, X8
    let behind = inspected(subject, time::Duration::seconds(90)).await;
    let [sentence] = wrong(&behind)[..] else {
        panic!("{behind:#?}")
    };
    assert!(
        sentence.contains("seconds behind ours"),
        "the lifetime is judged by the cluster's own time: {sentence}"
    );
    let ahead = inspected(subject, time::Duration::seconds(-20)).await;
    assert!(wrong(&ahead).is_empty(), "{ahead:#?}");
    let warned = |found: &Finding| {
        found.verdict == Verdict::Warning && found.sentence.contains("seconds ahead of ours")
    };
    assert!(ahead.iter().any(warned), "{ahead:#?}");
}

pub async fn missing_right_is_named_with_its_remedy(subject: &Subject) {
    // R3
    let path = format!("{RBAC}/clusterroles/remotegpu:control-plane");
    let role = subject.admin.done("GET", &path, None).await;
    let mut rules = role["rules"].clone();
    rules[0]["verbs"] = json!(["get", "list", "create", "patch"]);
    subject
        .admin
        .done("PATCH", &path, Some(json!({"rules": rules})))
        .await;
    let findings = until_wrong(subject, 1).await;
    let sentence = wrong(&findings)[0];
    assert!(
        sentence.starts_with("The control plane may not delete namespaces: ")
            && sentence.contains("remotegpu-api cluster manifest"),
        "{sentence}"
    );
    apply_prerequisites(&subject.admin_kubeconfig)
        .await
        .unwrap();
    until_wrong(subject, 0).await;
}

pub async fn what_was_applied_and_changed_is_named(subject: &Subject) {
    // R3
    let tenant = format!("{RBAC}/clusterroles/remotegpu:tenant");
    let role = subject.admin.done("GET", &tenant, None).await;
    let mut rules = role["rules"].as_array().unwrap().clone();
    rules.push(json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}));
    let policy = format!("{ADMISSION}/validatingadmissionpolicies/remotegpu-tenant-services");
    let binding = format!("{ADMISSION}/validatingadmissionpolicybindings/remotegpu-tenant-secrets");
    let audit: Value = json!({"spec": {"validationActions": ["Audit"]}});
    for (method, path, body) in [
        ("PATCH", &tenant, Some(json!({"rules": rules}))),
        ("DELETE", &policy, None),
        ("PATCH", &binding, Some(audit)),
    ] {
        subject.admin.done(method, path, body).await;
    }
    let findings = until_wrong(subject, 2).await;
    let [missing, changed] = wrong(&findings)[..] else {
        panic!("{findings:#?}")
    };
    assert!(
        missing.contains("missing: ValidatingAdmissionPolicy remotegpu-tenant-services; "),
        "{missing}"
    );
    assert!(
        changed.contains(
            "ClusterRole remotegpu:tenant and ValidatingAdmissionPolicyBinding \
             remotegpu-tenant-secrets; "
        ),
        "{changed}"
    );
    assert!(changed.ends_with("delete these first where that alone does not mend it"));
    // Applying would leave "Audit" beside "Deny".
    subject.admin.done("DELETE", &binding, None).await;
    apply_prerequisites(&subject.admin_kubeconfig)
        .await
        .unwrap();
    until_wrong(subject, 0).await;
}

pub async fn inspection_leaves_nothing_behind(subject: &Subject) {
    // R3
    let accounts = "/api/v1/namespaces/remotegpu-credentials/serviceaccounts";
    let count = async || {
        let list = subject.admin.done("GET", accounts, None).await;
        list["items"].as_array().unwrap().len()
    };
    let before = count().await;
    inspected(subject, time::Duration::ZERO).await;
    assert_eq!(count().await, before);
}
