//! One object that fails is told of, and harms no other (contract R10, X9).

use std::time::{Duration, Instant};

use remotegpu_test_support::postgres::TestDatabase;
use serde_json::{Value, json};

use super::{IN_TIME, UNAVAILABLE, says_nothing, timed_mint};
use crate::support::{
    Backend, Fault, FaultyCluster, KeyHolder, Person, Pods, Server, Stopwatch, eventually,
};

/// How often the cluster is swept here.
const SWEEP: Duration = Duration::from_secs(2);
/// X9: how soon a token is refused.
const REFUSED: Duration = Duration::from_secs(1);

/// Two instances on one database, whose one cluster is behind a proxy.
struct World {
    first: Server,
    second: Server,
    eu: FaultyCluster,
    person: Person,
}

impl World {
    async fn new() -> Self {
        let eu = FaultyCluster::start().await;
        let options = eu.options(Backend::Postgres);
        let options = options.with("sweep-seconds", SWEEP.as_secs().to_string());
        let first = Server::start_with(options).await;
        Self {
            second: first.second_instance().await,
            person: first.operator().await,
            first,
            eu,
        }
    }

    fn database(&self) -> &TestDatabase {
        self.first.database.as_ref().unwrap()
    }

    /// How many rows there are.
    fn count(&self, rows: &str) -> usize {
        let query = format!("SELECT count(*) FROM {rows}");
        self.database()
            .query(&query)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// A key that has minted for the namespace, and its token there.
    async fn key_in(&self, namespace: &Value) -> (KeyHolder, String) {
        let key = self.person.key(json!({"all": true})).await;
        let token = key.token(namespace).await;
        (key, token)
    }

    async fn until(&self, token: &str, namespace: &Value, wanted: u16, within: Duration) {
        let (began, pods) = (Stopwatch::start(), Pods::of(&self.eu.direct, namespace));
        eventually("the cluster refuses the token", within, async || {
            pods.status(token).await == wanted
        })
        .await;
        println!("{wanted} after {:?}", began.elapsed());
    }

    async fn cluster_status(&self) -> String {
        let clusters = self.person.get("/v1/kubernetes/clusters").await.expect(200);
        clusters["items"][0]["status"].as_str().unwrap().to_owned()
    }

    fn log(&self) -> String {
        format!("{}\n{}", self.first.log(), self.second.log())
    }

    async fn stop(mut self) {
        assert!(self.first.stop().success() && self.second.stop().success());
        self.eu.cluster.stop().await;
    }
}

/// The middle of what so many mints take, one after the other.
async fn median_mint(key: &KeyHolder, namespace: &Value) -> Duration {
    let mut took = Vec::new();
    for _ in 0..25 {
        let (answer, mint) = timed_mint(key, namespace).await;
        answer.expect(200);
        took.push(mint);
    }
    took.sort();
    took[took.len() / 2]
}

/// What was logged since then that names something of the cluster.
fn warnings<'a>(log: &'a str, before: usize, word: &str) -> Vec<&'a str> {
    let lines = log.lines().skip(before);
    lines.filter(|line| line.contains(word)).collect()
}

async fn one_namespaces_bindings(fault: Fault) {
    let world = World::new().await;
    let (good, bad) = (
        world.person.namespace("good").await,
        world.person.namespace("bad").await,
    );
    let (ends, token) = world.key_in(&bad).await;
    let (stays, _) = world.key_in(&good).await;
    let (elsewhere, elsewhere_token) = world.key_in(&good).await;
    let (_, orphan_token) = world.key_in(&good).await;
    let before = median_mint(&stays, &good).await;
    let (first_log, second_log) = (world.first.log(), world.second.log());
    let told_before = first_log.lines().count() + 1 + second_log.lines().count();

    let name = bad["kubernetes_namespace"].as_str().unwrap();
    world
        .eu
        .proxy
        .set_of(&format!("/namespaces/{name}/rolebindings"), fault);
    let began = Instant::now();
    // An identity that no row knows any more.
    let newest = "id = (SELECT id FROM credential_identities ORDER BY id DESC LIMIT 1)";
    let forget = format!("DELETE FROM credential_identities WHERE {newest}");
    world.database().query(&forget).unwrap();
    world.person.revoke(&ends).await;
    // X9: the binding cannot go, and does not keep the service account.
    world
        .until(&token, &bad, 401, Duration::from_secs(15))
        .await;
    // Whoever mints there for the first time is told.
    let new = world.person.key(json!({"all": true})).await;
    let (refused, took) = timed_mint(&new, &bad).await;
    assert_eq!(refused.problem(503, UNAVAILABLE.0), UNAVAILABLE.1);
    says_nothing(&refused);
    assert!(took < IN_TIME, "{took:?}");
    // Everybody else is served as ever.
    let during = median_mint(&stays, &good).await;
    println!("{fault:?}: mints take {during:?}, before {before:?}");
    assert!(during < 3 * before + Duration::from_millis(50));
    world.person.revoke(&elsewhere).await;
    world.until(&elsewhere_token, &good, 401, REFUSED).await;
    let orphan = world.until(&orphan_token, &good, 401, 3 * SWEEP + IN_TIME);
    orphan.await;
    while began.elapsed() < 4 * SWEEP {
        assert_eq!(world.cluster_status().await, "available");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let powerless = "credential_identities WHERE powerless_at IS NOT NULL";
    assert_eq!(world.count(powerless), 1);
    // R10: that namespace alone is told of.
    let log = world.log();
    for line in warnings(&log, told_before, "could not be ended yet") {
        assert!(line.contains(name), "{line}");
    }
    assert!(!warnings(&log, 0, "could not be ended yet").is_empty());
    for word in [
        "is down",
        "does not answer",
        "was not swept",
        "were not swept",
    ] {
        assert_eq!(warnings(&log, 0, word), [""; 0]);
    }

    // N5: the namespace goes all the same, and takes the binding along.
    let path = format!("/v1/kubernetes/namespaces/{}", bad["id"].as_str().unwrap());
    world.person.delete(&path).await.expect(202);
    eventually(
        "the namespace is gone",
        Duration::from_secs(20),
        async || {
            let listed = world
                .person
                .get("/v1/kubernetes/namespaces")
                .await
                .expect(200);
            listed["items"].as_array().unwrap().len() == 1
        },
    )
    .await;
    assert_eq!(world.count(powerless), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_namespace_whose_bindings_answer_500_harms_no_other() {
    // X9, R10
    one_namespaces_bindings(Fault::Status(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_namespace_whose_bindings_hang_harms_no_other() {
    // X9, R10
    one_namespaces_bindings(Fault::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_could_not_go_goes_when_it_can() {
    // X9
    let world = World::new().await;
    let bad = world.person.namespace("bad").await;
    let (ends, token) = world.key_in(&bad).await;
    let name = bad["kubernetes_namespace"].as_str().unwrap();
    world.eu.proxy.set_of(
        &format!("/namespaces/{name}/rolebindings"),
        Fault::Status(500),
    );
    world.person.revoke(&ends).await;
    world
        .until(&token, &bad, 401, Duration::from_secs(15))
        .await;
    eventually("it is noted", IN_TIME, async || {
        world.count("credential_identities WHERE powerless_at IS NOT NULL") == 1
    })
    .await;
    world.eu.proxy.set_of("nowhere", Fault::None);
    let began = Stopwatch::start();
    eventually("nothing is left", Duration::from_secs(15), async || {
        world.count("credential_identities") == 0
    })
    .await;
    println!("nothing is left after {:?}", began.elapsed());
    world.stop().await;
}
