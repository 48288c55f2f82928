//! What nobody uses any more ends, and nobody notices.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Backend, KeyHolder, Person, Pods, Server, eventually};

/// A start does at once what is done every 45 seconds.
const SOON: Duration = Duration::from_secs(40);

fn query(server: &Server, sql: &str) -> String {
    let database = server.database.as_ref().unwrap();
    database.query(sql).unwrap().trim().to_owned()
}

/// Puts the last use of all identities back by so much.
fn rest(server: &Server, time: &str) {
    let sql = format!(
        "UPDATE credential_identities SET created_at = created_at - interval '{time}', \
         last_minted_at = coalesce(last_minted_at, created_at) - interval '{time}'"
    );
    query(server, &sql);
}

/// The key gets a token at the first try, and that opens the namespace at once.
async fn works(person: &Person, namespace: &Value, key: &KeyHolder) {
    let pods = Pods::of(&person.kubeconfig(namespace, "shell").await, namespace);
    assert!(pods.open(&key.token(namespace).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_rested_for_a_month_ends_and_the_next_mint_makes_another() {
    // X12
    let mut server = Server::start(Backend::Postgres).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    works(&person, &namespace, &key).await;
    let identity = || query(&server, "SELECT id FROM credential_identities");
    let first = identity();
    assert!(!first.is_empty());

    // Used just before its end: that is written before the answer, and counts.
    rest(&server, "29 days 12 hours");
    works(&person, &namespace, &key).await;
    let used = "SELECT last_minted_at > now() - interval '1 minute' FROM credential_identities";
    assert_eq!(query(&server, used), "t");
    rest(&server, "29 days");
    server.restart().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let identity = || query(&server, "SELECT id FROM credential_identities");
    assert_eq!(identity(), first);

    rest(&server, "31 days");
    server.restart().await;
    let identity = || query(&server, "SELECT id FROM credential_identities");
    eventually("the identity is gone", SOON, async || identity().is_empty()).await;
    works(&person, &namespace, &key).await;
    let second = identity();
    assert!(!second.is_empty() && second != first);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_keys_leave_the_list_by_age_and_by_number() {
    // K16
    let mut server = Server::start(Backend::Postgres).await;
    let person = server.operator().await;
    let (old, young) = (
        person.key(json!({"inference": true})).await,
        person.key(json!({"inference": true})).await,
    );
    for key in [&old, &young] {
        person.revoke(key).await;
    }
    let aged = format!(
        "UPDATE api_keys SET revoked_at = revoked_at - interval '91 days' WHERE id = '{}'",
        old.id()
    );
    query(&server, &aged);
    // A thousand more, all of which ended before the young one.
    query(
        &server,
        "INSERT INTO api_keys (id, account_id, name, prefix, scopes, created_at, created_by, revoked_at) \
         SELECT gen_random_uuid(), account_id, 'old', prefix, scopes, created_at, created_by, \
         now() - interval '1 day' - n * interval '1 second' \
         FROM api_keys, generate_series(1, 1000) AS n WHERE id = (SELECT min(id::text)::uuid FROM api_keys)",
    );
    let last = "SELECT id FROM api_keys WHERE name = 'old' ORDER BY revoked_at LIMIT 1";
    let last = query(&server, last);
    server.restart().await;
    let left = || query(&server, "SELECT count(*) FROM api_keys");
    eventually("a thousand are left", SOON, async || left() == "1000").await;
    for gone in [old.id(), &last] {
        let path = format!("/v1/account/api-keys/{gone}");
        let answer = person.patch(&path, json!({"name": "new"})).await;
        let said = answer.problem(404, "api_key_not_found");
        assert_eq!(said, "API key not found");
    }
    let path = format!("/v1/account/api-keys/{}", young.id());
    let answer = person.patch(&path, json!({"name": "new"})).await;
    answer.problem(409, "key_not_active");
}
