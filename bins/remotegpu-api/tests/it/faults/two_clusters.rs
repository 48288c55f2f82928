//! Two clusters, one of which hangs (contract R10).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Backend, Fault, FaultyCluster, Person, Pods, Server, Stopwatch, eventually, foreign_cluster,
};

/// How many things are to be done in the cluster that hangs: more than there are places.
const HANGING: usize = 40;

async fn namespace_in(person: &Person, cluster: &str, name: &str) -> Value {
    let body = json!({"name": name, "cluster": cluster});
    let made = person.post("/v1/kubernetes/namespaces", body).await;
    made.expect(201)
}

async fn delete(person: &Person, namespace: &Value) {
    let id = namespace["id"].as_str().unwrap();
    let path = format!("/v1/kubernetes/namespaces/{id}");
    person.delete(&path).await.expect(202);
}

/// How long it takes to make a namespace, and to have it gone.
async fn make_and_remove(person: &Person, name: &str) -> (Duration, Duration) {
    let began = Stopwatch::start();
    let made = namespace_in(person, "us", name).await;
    assert_eq!(made["status"], "active", "{made}");
    let making = began.elapsed();
    let began = Stopwatch::start();
    delete(person, &made).await;
    let path = "/v1/kubernetes/namespaces?limit=200";
    eventually("it is gone", Duration::from_secs(10), async || {
        let listed = person.get(path).await.expect(200);
        let items = listed["items"].as_array().unwrap();
        items.iter().all(|item| item["id"] != made["id"])
    })
    .await;
    (making, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hangs_delays_nothing_in_another() {
    // R10, X9, N5
    let folder = tempfile::tempdir().unwrap();
    let (us, us_kubeconfig) = foreign_cluster(folder.path()).await;
    let mut eu = FaultyCluster::start().await;
    let clusters = format!("us={},eu={}", us_kubeconfig.display(), eu.path.display());
    let options = eu.options(Backend::Sqlite);
    let options = options
        .with("clusters", clusters)
        .with("sweep-seconds", "2")
        .with("key-limit", "1000")
        .with("namespace-limit", "1000");
    let mut server = Server::start_with(options).await;
    let person = server.operator().await;
    let here = namespace_in(&person, "us", "here").await;
    let there = namespace_in(&person, "eu", "there").await;
    let pods = Pods::of(&us.admin_kubeconfig(), &here);
    let mut doomed = Vec::new();
    for number in 0..HANGING {
        let key = person.key(json!({"all": true})).await;
        key.token(&there).await;
        doomed.push((
            key,
            namespace_in(&person, "eu", &format!("there-{number}")).await,
        ));
    }
    let quick = make_and_remove(&person, "before").await;
    println!("made and removed in {quick:?}");

    eu.proxy.set(Fault::Hang).await;
    let began = Stopwatch::start();
    for (key, namespace) in &doomed {
        person.revoke(key).await;
        delete(&person, namespace).await;
    }
    // Before it is known to be down, and long after.
    for round in 0..6 {
        let key = person.key(json!({"all": true})).await;
        let text = key.token(&here).await;
        assert!(pods.open(&text).await);
        person.revoke(&key).await;
        let revoked = Stopwatch::start();
        eventually("the token is refused", Duration::from_secs(1), async || {
            !pods.open(&text).await
        })
        .await;
        let refused = revoked.elapsed();
        let took = make_and_remove(&person, &format!("during-{round}")).await;
        println!(
            "{:?} after it began to hang: refused after {refused:?}, made and removed in {took:?}",
            began.elapsed()
        );
        let room = Duration::from_millis(1_500);
        assert!(
            took.0 < quick.0 + room && took.1 < quick.1 + room,
            "{took:?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let status = person.get("/v1/kubernetes/clusters").await.expect(200);
    assert_eq!(status["items"][0]["status"], "available");
    assert_eq!(status["items"][1]["status"], "unavailable");
    // And what waited for it is done when it is back.
    eu.proxy.set(Fault::None).await;
    eventually("all of it is gone", Duration::from_secs(30), async || {
        let listed = person
            .get("/v1/kubernetes/namespaces?limit=200")
            .await
            .expect(200);
        listed["items"].as_array().unwrap().len() == 2
    })
    .await;
    assert!(server.stop().success());
    eu.cluster.stop().await;
    us.stop().await;
}
