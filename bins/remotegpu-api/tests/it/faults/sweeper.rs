//! Who sweeps a cluster dies (contract R10).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Backend, KeyHolder, Person, Pods, Server, ServerOptions, Stopwatch, eventually,
};

/// R10: how soon another sweeps.
const TAKEN_OVER: Duration = Duration::from_secs(10);

struct Token {
    key: KeyHolder,
    text: String,
}

async fn mint(person: &Person, namespace: &Value) -> Token {
    let key = person.key(json!({"all": true})).await;
    let text = key.token(namespace).await;
    Token { key, text }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sweeps_soon_after_kill_9_and_no_revocation_waits_for_it() {
    // R10, X9
    let options = ServerOptions::new(Backend::Postgres).with("sweep-seconds", "1");
    let mut first = Server::start_with(options).await;
    let database = first.database.take().unwrap();
    let holder = || {
        let found = database.query("SELECT holder FROM sweep_leases").unwrap();
        found.trim().to_owned()
    };
    eventually("the first one sweeps", TAKEN_OVER, async || {
        !holder().is_empty()
    })
    .await;
    let before = holder();
    let mut second = first.second_instance().await;
    let mut third = first.second_instance().await;
    let person = Person::sign_in(
        &second.url,
        "admin@localhost",
        crate::support::ADMIN_PASSWORD,
    );
    let person = person.await;
    let namespace = person.namespace("team-ml").await;
    let (orphan, revoked) = (
        mint(&person, &namespace).await,
        mint(&person, &namespace).await,
    );
    let admin = first.dev_cluster.as_ref().unwrap().admin_kubeconfig();
    let pods = Pods::of(&admin, &namespace);
    assert!(pods.open(&orphan.text).await && pods.open(&revoked.text).await);
    // It holds on to it.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(holder(), before);

    let own = format!(
        "FROM credential_identities WHERE key_id = '{}'",
        orphan.key.id()
    );
    first.kill();
    let began = Stopwatch::start();
    database.query(&format!("DELETE {own}")).unwrap();
    person.revoke(&revoked.key).await;
    eventually(
        "the revoked one is refused",
        Duration::from_secs(1),
        async || !pods.open(&revoked.text).await,
    )
    .await;
    println!("refused after {:?}", began.elapsed());
    assert_eq!(holder(), before, "and nobody sweeps yet");
    eventually(
        "another sweeps",
        TAKEN_OVER.checked_sub(began.elapsed()).unwrap(),
        async || holder() != before,
    )
    .await;
    println!("taken over after {:?}", began.elapsed());
    eventually(
        "what no row knows is gone",
        Duration::from_secs(3),
        async || !pods.open(&orphan.text).await,
    )
    .await;

    // One that ends in an orderly way is followed at once, by whichever is left.
    let after = holder();
    assert!(second.stop().success());
    let began = Instant::now();
    eventually(
        "one that is left sweeps",
        Duration::from_secs(3),
        async || {
            let now = holder();
            !now.is_empty() && (now != after || began.elapsed() > Duration::from_secs(2))
        },
    )
    .await;
    assert!(third.stop().success());
    assert_eq!(holder(), "", "nobody is left");
}
