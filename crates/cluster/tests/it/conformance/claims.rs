//! The claim that says which database acts in a cluster (contract R9).

use std::time::Duration;

use remotegpu_cluster::apply_prerequisites;
use remotegpu_namespaces::{
    Claim, ClaimHolder, ClusterClaims, DatabaseIdentity, StandingClaim, WriteClaim,
};
use remotegpu_test_support::{port_suite, stopwatch::eventually};
use serde_json::{Value, json};

use crate::subject::{Subject, name};

const CLAIM: &str = "/api/v1/namespaces/remotegpu-credentials/configmaps/remotegpu-claim";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/remotegpu-credentials/roles/\
                    remotegpu:control-plane";

pub async fn ports_answer_as_those_of_the_test_cluster(subject: &Subject) {
    port_suite::run(&subject.clusters, &name()).await;
    subject.admin.done("DELETE", CLAIM, None).await;
}

pub async fn claim_is_made_once_and_written_by_compare_and_set(subject: &Subject) {
    // R9
    let clusters = &subject.clusters;
    let found = clusters.read_claim(&name()).await.unwrap();
    assert_eq!(found.standing, StandingClaim::Absent);
    let system = subject
        .admin
        .done("GET", "/api/v1/namespaces/kube-system", None)
        .await;
    assert_eq!(system["metadata"]["uid"], found.cluster.as_str());

    let claim = |counter| Claim {
        holder: ClaimHolder {
            installation: "0198f3a2-6f3e-7c11-9d51-2f4a8c1d7e01".parse().unwrap(),
            database: DatabaseIdentity::parse("7512/16384#16390"),
        },
        counter,
        cluster: found.cluster.clone(),
    };
    let write = async |counter, over| {
        let claim = claim(counter);
        clusters.write_claim(&name(), &claim, over).await.unwrap()
    };
    assert_eq!(write(1, None).await, WriteClaim::Written);
    // Whoever else found none is told so.
    assert_eq!(write(9, None).await, WriteClaim::Changed);
    let first = clusters.read_claim(&name()).await.unwrap();
    assert_eq!(first.counter(), Some(1));
    assert_eq!(write(2, first.version()).await, WriteClaim::Written);
    assert_eq!(write(3, first.version()).await, WriteClaim::Changed);
    let second = clusters.read_claim(&name()).await.unwrap();
    let StandingClaim::Present {
        claim: Some(stands),
        ..
    } = &second.standing
    else {
        panic!("{second:?}")
    };
    assert_eq!(*stands, claim(2));

    // Somebody bends it, and somebody deletes it.
    let odd = json!({"data": {"counter": "many"}});
    subject.admin.done("PATCH", CLAIM, Some(odd)).await;
    let bent = clusters.read_claim(&name()).await.unwrap();
    assert!(matches!(
        bent.standing,
        StandingClaim::Present { claim: None, .. }
    ));
    subject.admin.done("DELETE", CLAIM, None).await;
    assert_eq!(write(4, bent.version()).await, WriteClaim::Changed);
    let gone = clusters.read_claim(&name()).await.unwrap();
    assert_eq!(gone.standing, StandingClaim::Absent);
}

pub async fn claim_that_may_not_be_read_is_told_apart_from_none(subject: &Subject) {
    // R9: an older version's manifest.
    let role = subject.admin.done("GET", ROLE, None).await;
    let older: Vec<Value> = role["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["resources"] != json!(["configmaps"]))
        .cloned()
        .collect();
    let bent = Some(json!({"rules": older}));
    subject.admin.done("PATCH", ROLE, bent).await;
    until(subject, &StandingClaim::NotPermitted).await;
    apply_prerequisites(&subject.admin_kubeconfig)
        .await
        .unwrap();
    until(subject, &StandingClaim::Absent).await;
}

/// An authorizer may take a moment to hear of a role that was changed.
async fn until(subject: &Subject, wanted: &StandingClaim) {
    let what = format!("{wanted:?}");
    eventually(&what, Duration::from_secs(10), async || {
        let found = subject.clusters.read_claim(&name()).await.unwrap();
        found.standing == *wanted
    })
    .await;
}
