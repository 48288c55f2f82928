//! A cluster that fails in every way that was thought of: who asks is told so in
//! time and in the contract's words, nothing of what the cluster said gets
//! anywhere, and all is well again when it is.

mod one_object;
mod sweeper;
mod two_clusters;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, CANARY, Fault, FaultyCluster, KeyHolder, Person, Pods, Server, Stopwatch,
    TEN_MEGABYTES, eventually,
};

/// C7: what every answer has to keep.
const IN_TIME: Duration = Duration::from_secs(5);
/// How long it may take until all is well again: five seconds to the next probe (R10),
/// and room.
const RECOVERED: Duration = Duration::from_secs(9);

/// For how long an instance's claim on a piece of work outlives it.
const CLAIMED: Duration = Duration::from_secs(10);

const UNAVAILABLE: (&str, &str) = ("cluster_unavailable", "The cluster is not available");
const UNUSABLE: (&str, &str) = (
    "cluster_unavailable",
    "The cluster's token response was not usable",
);
const NO_EXPIRATION: (&str, &str) = (
    "token_without_expiration",
    "The backing Kubernetes token response did not include an expiration",
);

/// A server whose one cluster is behind a proxy.
struct World {
    server: Server,
    eu: FaultyCluster,
    person: Person,
    namespace: Value,
    pods: Pods,
}

impl World {
    async fn new() -> Self {
        let eu = FaultyCluster::start().await;
        let options = eu.options(Backend::Sqlite).with("key-limit", "1000");
        let server = Server::start_with(options).await;
        let person = server.operator().await;
        let namespace = person.namespace("team-ml").await;
        Self {
            pods: Pods::of(&eu.direct, &namespace),
            server,
            eu,
            person,
            namespace,
        }
    }

    async fn key(&self) -> KeyHolder {
        self.person.key(json!({"all": true})).await
    }

    /// A key that has minted already, and its token.
    async fn warm_key(&self) -> (KeyHolder, String) {
        let key = self.key().await;
        let token = key.token(&self.namespace).await;
        (key, token)
    }

    /// Minting works again, and so does what it gives.
    async fn recovers(&self, key: &KeyHolder) {
        let began = Stopwatch::start();
        // The token of the very mint that works: a look that began before may still say that
        // the cluster is down.
        let mut token = String::new();
        eventually("minting works again", RECOVERED, async || {
            let minted = key.mint(&self.namespace).await;
            let works = minted.status == 200;
            if works {
                let minted = minted.expect(200);
                minted["status"]["token"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut token);
            }
            works
        })
        .await;
        assert!(self.pods.open(&token).await);
        println!("      recovered in {} ms", began.elapsed().as_millis());
    }
}

/// The middle of what so many checks of a key take, one after the other.
async fn median_check(key: &KeyHolder, count: usize) -> Duration {
    let mut took = Vec::new();
    for _ in 0..count {
        let began = Stopwatch::start();
        key.get("/v1/auth/key").await.expect(200);
        took.push(began.elapsed());
    }
    took.sort();
    took[count / 2]
}

async fn timed_mint(key: &KeyHolder, namespace: &Value) -> (Answer, Duration) {
    let began = Stopwatch::start();
    let answer = key.mint(namespace).await;
    (answer, began.elapsed())
}

/// The most memory that the server has held so far, in KiB.
fn peak_memory(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

#[track_caller]
fn says_nothing(answer: &Answer) {
    let all = format!("{answer:?}");
    assert!(!all.contains(CANARY) && !all.contains("eyJ"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_cluster_is_a_503_in_time_that_says_nothing_of_it() {
    // C7, X6 [S], X8
    let mut world = World::new().await;
    let slow = Fault::Slow(Duration::from_millis(1_500));
    let (warm, _) = world.warm_key().await;
    let checked = world.person.key(json!({"inference": true})).await;
    let before = median_check(&checked, 40).await;
    println!("checks of a key take {before:?} where nothing is wrong");
    // The fault, and what somebody is told whose identity stands already, and
    // somebody who mints for the first time.
    for (fault, of_warm, of_first) in [
        (Fault::Refuse, Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Hang, Some(UNAVAILABLE), UNAVAILABLE),
        // A mint of one request comes through, one of five does not.
        (slow, None, UNAVAILABLE),
        (Fault::Trickle, Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Status(500), Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Status(429), Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Status(401), Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Status(403), Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Redirect, Some(UNAVAILABLE), UNAVAILABLE),
        (Fault::Html, Some(UNUSABLE), UNAVAILABLE),
        (Fault::Huge, Some(UNUSABLE), UNAVAILABLE),
        (Fault::NoExpiration, Some(NO_EXPIRATION), NO_EXPIRATION),
        (Fault::PastExpiration, Some(UNUSABLE), UNUSABLE),
        (Fault::FarExpiration, Some(UNUSABLE), UNUSABLE),
        (Fault::OddExpiration, Some(UNUSABLE), UNUSABLE),
        (Fault::WrongCa, Some(UNAVAILABLE), UNAVAILABLE),
    ] {
        println!("fault {fault:?}");
        let first = world.key().await;
        let memory = peak_memory(&world.server);
        // Thirty answers of ten megabytes each would be seen.
        let count = if fault == Fault::Huge { 30 } else { 3 };
        world.eu.proxy.set(fault).await;
        let mints = async {
            let warm = join_all((0..count).map(|_| timed_mint(&warm, &world.namespace)));
            tokio::join!(warm, timed_mint(&first, &world.namespace))
        };
        let ((of_warm_key, of_first_mint), during) =
            tokio::join!(mints, median_check(&checked, 40));
        for ((answer, took), wanted) in of_warm_key
            .into_iter()
            .map(|answered| (answered, of_warm))
            .chain([(of_first_mint, Some(of_first))])
        {
            assert!(took < IN_TIME, "{fault:?}: {took:?} {answer:?}");
            let Some((code, detail)) = wanted else {
                answer.expect(200);
                continue;
            };
            assert_eq!(answer.problem(503, code), detail, "{fault:?}");
            says_nothing(&answer);
            let again: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!(again <= 30, "C7: our own word, not the cluster's: {again}");
            println!("      503 {detail:?} in {} ms", took.as_millis());
        }
        println!("      checks of a key take {during:?} meanwhile");
        assert!(during < Duration::from_millis(250), "{fault:?}: {during:?}");
        if fault == Fault::Huge {
            let grown = peak_memory(&world.server) - memory;
            println!("      the server's memory grew by {grown} KiB at the most");
            assert!(grown < 100 * 1024, "{count} x {TEN_MEGABYTES}: {grown} KiB");
            let taken = world.eu.proxy.longest_taken();
            println!("      at the most {taken} bytes of a token's answer were sent");
            assert!(taken < TEN_MEGABYTES, "an answer was taken to its end");
        }
        world.eu.proxy.set(Fault::None).await;
        world.recovers(&warm).await;
        world.recovers(&first).await;
    }
    assert_eq!(world.eu.proxy.visits_elsewhere(), 0);
    let log = world.server.log();
    assert!(!log.contains(CANARY), "{log}");
    assert!(!log.contains("eyJ"), "a part of a token: {log}");
    assert!(world.server.stop().success());
    world.eu.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_for_its_cluster_and_survives_the_instance() {
    // X9, K13
    let mut world = World::new().await;
    for fault in [Fault::Refuse, Fault::Hang, Fault::Status(500)] {
        for dies in [false, true] {
            let (key, token) = world.warm_key().await;
            assert!(world.pods.open(&token).await);
            world.eu.proxy.set(fault).await;
            let began = Stopwatch::start();
            world.person.revoke(&key).await;
            let took = began.elapsed();
            assert!(
                took < Duration::from_secs(1),
                "a revocation waits for no cluster: {took:?}"
            );
            key.mint(&world.namespace)
                .await
                .problem(401, "invalid_api_key");
            // Time enough for vain attempts.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert!(
                world.pods.open(&token).await,
                "the cluster could not know yet"
            );
            if dies {
                world.server.kill();
                world.eu.proxy.set(Fault::None).await;
                world.server.run().await;
            } else {
                world.eu.proxy.set(Fault::None).await;
            }
            let began = Stopwatch::start();
            // What an instance was about to do when it died is another's after the ten
            // seconds of its claim.
            let within = if dies { CLAIMED + RECOVERED } else { RECOVERED };
            eventually("the token is refused", within, async || {
                !world.pods.open(&token).await
            })
            .await;
            let took = began.elapsed().as_millis();
            println!("{fault:?}, the instance dies: {dies}: refused after {took} ms");
        }
    }
    assert!(world.server.stop().success());
    world.eu.cluster.stop().await;
}
