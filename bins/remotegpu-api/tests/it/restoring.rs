//! A database that is restored, and what the operator ends afterwards (contract R7).

use std::{path::Path, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_PASSWORD, Backend, KeyHolder, Person, Server, Stopwatch, client, cluster_client,
    eventually,
};

const SENTENCE: &str = "The database was restored or replaced while this server ran; it answers \
                        again after it is started anew";
/// Within this a restore is noticed.
const NOTICED: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

async fn readiness(server: &Server) -> (u16, String) {
    let asked = client().get(format!("{}/readyz", server.url)).send().await;
    let answer = asked.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn status(key: &KeyHolder) -> u16 {
    key.get("/v1/auth/key").await.status.as_u16()
}

/// The same key, shown to another instance.
fn at(key: &KeyHolder, server: &Server) -> KeyHolder {
    let mut item = key.item.clone();
    item["key"] = json!(key.key);
    KeyHolder::new(&server.url, item)
}

/// Somebody's namespace, and a token for it.
struct Token {
    cluster: Client,
    pods: String,
    bearer: String,
}

impl Token {
    async fn mint(person: &Person, key: &KeyHolder, namespace: &Value) -> Self {
        let minted = key.mint(namespace).await.expect(200);
        let (cluster, url) = cluster_client(&person.kubeconfig(namespace, "shell").await);
        let name = namespace["kubernetes_namespace"].as_str().unwrap();
        Self {
            cluster,
            pods: format!("{url}/api/v1/namespaces/{name}/pods"),
            bearer: minted["status"]["token"].as_str().unwrap().to_owned(),
        }
    }

    async fn status(&self) -> u16 {
        let asked = self.cluster.get(&self.pods).bearer_auth(&self.bearer);
        asked.send().await.unwrap().status().as_u16()
    }
}

/// How many of the account's events are of this action by the operator.
async fn events(person: &Person, action: &str) -> usize {
    let path = format!("/v1/account/audit-events?action={action}");
    let listed = person.get(&path).await.expect(200);
    let items = listed["items"].as_array().unwrap();
    let by_operator = items
        .iter()
        .filter(|item| item["actor"]["type"] == "operator");
    by_operator.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_and_sessions_end_on_every_instance_and_in_the_cluster() {
    // R7, K13, X9
    let one = Server::start(Backend::Postgres).await;
    let two = one.second_instance().await;
    let (ada, eve) = (one.operator().await, one.person("eve").await);
    let mut keys = Vec::new();
    let mut tokens = Vec::new();
    for person in [&ada, &eve] {
        let namespace = person.namespace("team").await;
        let key = person.key(json!({"all": true})).await;
        tokens.push(Token::mint(person, &key, &namespace).await);
        keys.push(at(&key, &two));
        keys.push(key);
    }
    for key in &keys {
        for _ in 0..2 {
            assert_eq!(status(key).await, 200);
        }
    }

    // Without --yes it counts, and nothing changes.
    let told = one.admin(&["end-all", "keys"]);
    assert!(
        told.starts_with("would end 2 active API keys in 2 accounts:\n"),
        "{told}"
    );
    for person in [&ada, &eve] {
        assert!(
            told.contains(&format!("{}       1  ", person.account_id().await)),
            "{told}"
        );
    }
    let in_cluster = "2 cluster identities end with them, and the tokens of these: 2 in eu\n";
    assert!(told.contains(in_cluster), "{told}");
    assert!(
        told.ends_with("nothing was changed; --yes ends them\n"),
        "{told}"
    );
    let told = one.admin(&["end-all", "sessions", "--account", &eve.account_id().await]);
    assert!(
        told.starts_with("would end 1 session in 1 account:\n"),
        "{told}"
    );
    for key in &keys {
        assert_eq!(status(key).await, 200);
    }
    for token in &tokens {
        assert_eq!(token.status().await, 200);
    }

    let told = one.admin(&["end-all", "keys", "--yes"]);
    let ended = Stopwatch::start();
    assert!(
        told.starts_with("ended 2 active API keys in 2 accounts:\n"),
        "{told}"
    );
    assert!(told.contains(in_cluster), "{told}");
    let left = |limit: Duration| limit.saturating_sub(ended.elapsed());
    for key in &keys {
        let refused = async || status(key).await == 401;
        eventually("refused by the API", left(SECOND), refused).await;
    }
    for token in &tokens {
        let refused = async || matches!(token.status().await, 401 | 403);
        eventually("refused by the cluster", left(SECOND), refused).await;
    }
    for token in &tokens {
        let unknown = async || token.status().await == 401;
        eventually("unknown to the cluster", left(15 * SECOND), unknown).await;
    }
    for person in [&ada, &eve] {
        assert_eq!(events(person, "api_key.revoked").await, 1, "R5");
    }
    let told = one.admin(&["end-all", "keys", "--yes"]);
    assert!(told.starts_with("ended 0 active API keys\n"), "{told}");

    let there = Person {
        url: two.url.clone(),
        ..ada.clone()
    };
    there.get("/v1/auth/session").await.expect(200);
    let told = one.admin(&["end-all", "sessions", "--yes"]);
    assert!(
        told.starts_with("ended 2 sessions in 2 accounts:\n"),
        "{told}"
    );
    for person in [&ada, &eve, &there] {
        let answer = person.get("/v1/auth/session").await;
        answer.problem(401, "invalid_access_token");
    }
    let again = one.operator().await;
    assert_eq!(events(&again, "session.signed_out").await, 1, "R5");
    // What is made from now on lives.
    assert_eq!(status(&again.key(json!({"all": true})).await).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_sessions_are_ended_by_their_ids() {
    // R7, R1: beside the server, on SQLite.
    let server = Server::start(Backend::Sqlite).await;
    let (ada, eve) = (server.operator().await, server.person("eve").await);
    let leaked = ada.key(json!({"all": true})).await;
    let other = ada.key(json!({"all": true})).await;
    let foreign = eve.key(json!({"all": true})).await;
    let unknown = "0198c0de-0000-7000-8000-000000000001";
    let list = format!(
        "# found on a paste site\n\n{}\n{unknown}\n{} # eve's\n",
        leaked.id(),
        foreign.id()
    );
    let file = server.path("leaked");
    std::fs::write(&file, &list).unwrap();
    let file = file.to_str().unwrap();
    let account = ada.account_id().await;

    let told = server.admin(&["end-all", "keys", "--ids", file, "--account", &account]);
    assert!(
        told.starts_with("would end 1 active API key in 1 account:\n"),
        "{told}"
    );
    assert!(
        told.contains("2 of the identifiers are not known, or another account's\n"),
        "{told}"
    );
    let output =
        server.command_with_input(&["admin", "end-all", "keys", "--ids=-", "--yes"], &list);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("ended 2 active API keys in 2 accounts:\n"),
        "{told}"
    );
    assert!(told.contains("1 of the identifiers is not known"), "{told}");
    for (key, expected) in [(&leaked, 401), (&foreign, 401), (&other, 200)] {
        let refused = async || status(key).await == expected;
        eventually("what is ended is refused", SECOND, refused).await;
    }
    let told = server.admin(&["end-all", "keys", "--ids", file, "--yes"]);
    assert!(told.starts_with("ended 0 active API keys\n"), "{told}");
    assert!(
        told.contains("2 of the identifiers are of what had ended before\n"),
        "{told}"
    );

    // What cannot be done is said in one sentence, and changes nothing.
    let key = other.key.clone();
    std::fs::write(file, format!("{}\n{key}\n", other.id())).unwrap();
    for (arguments, said) in [
        (
            &["keys", "--ids", file, "--yes"][..],
            "--ids: line 2 is no identifier",
        ),
        (
            &["keys", "--ids", "/no/such", "--yes"],
            "--ids: /no/such cannot be read",
        ),
        (&["keys", "--account", unknown, "--yes"], unknown),
    ] {
        let output = server.command(&[&["admin", "end-all"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains(said) && stderr.lines().count() == 1,
            "{stderr}"
        );
        assert!(!stderr.contains(&key), "K2");
    }
    for arguments in [&["end-all"][..], &["end-all", "namespaces"]] {
        let output = server.command(&[&["admin"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(status(&other).await, 200);
    let told = server.admin(&["end-all", "sessions", "--account", &account, "--yes"]);
    assert!(
        told.starts_with("ended 1 session in 1 account:\n"),
        "{told}"
    );
    ada.get("/v1/auth/session")
        .await
        .problem(401, "invalid_access_token");
    eve.get("/v1/auth/session").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_restored_under_two_instances_turns_both_unready() {
    // R7
    let mut one = Server::start(Backend::Postgres).await;
    let mut two = one.second_instance().await;
    let ada = one.operator().await;
    let namespace = ada.namespace("team").await;
    let kept = ada.key(json!({"all": true})).await;
    let revoked = ada.key(json!({"all": true})).await;
    let dump = one.path("dump");
    one.database.as_ref().unwrap().dump(&dump).unwrap();
    let path = format!("/v1/account/api-keys/{}/revoke", revoked.id());
    ada.post(&path, json!({})).await.expect(200);
    let later = ada.key(json!({"all": true})).await;
    let token = Token::mint(&ada, &later, &namespace).await;
    let everywhere = |key: &KeyHolder| [at(key, &one), at(key, &two)];
    let (kept, revoked, later) = (everywhere(&kept), everywhere(&revoked), everywhere(&later));
    for key in kept.iter().chain(&later) {
        for _ in 0..2 {
            assert_eq!(status(key).await, 200);
        }
    }
    for server in [&one, &two] {
        assert_eq!(readiness(server).await.0, 200);
    }

    one.database.as_ref().unwrap().restore_over(&dump).unwrap();
    let restored = Stopwatch::start();
    for server in [&one, &two] {
        let unready = async || readiness(server).await.0 == 503;
        let left = NOTICED.saturating_sub(restored.elapsed());
        eventually("unready", left, unready).await;
        assert!(readiness(server).await.1.contains(SENTENCE));
    }
    eprintln!("both unready after {:?}", restored.elapsed());
    // What is not known any more opens nothing, what lives again does not either, and
    // nobody is told anything of what they have.
    for key in kept.iter().chain(&revoked).chain(&later) {
        assert_eq!(
            key.get("/v1/auth/key")
                .await
                .problem(503, "database_unavailable"),
            SENTENCE
        );
        key.mint(&namespace)
            .await
            .problem(503, "database_unavailable");
    }
    let answer = ada.get("/v1/account/api-keys").await;
    answer.problem(503, "database_unavailable");
    let metrics = client()
        .get(format!("{}/metrics", two.internal_url))
        .send()
        .await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\nremotegpu_database_restored 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nremotegpu_api_key_cache_trusted 0\n"),
        "{metrics}"
    );
    // Nothing is done in the cluster, though there is something to do: an end that was
    // written by hand is carried out by nobody.
    let database = one.database.as_ref().unwrap();
    database
        .query("UPDATE namespaces SET status = 'deleting', next_attempt_at = now() - interval '1 minute'")
        .unwrap();
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(token.status().await, 200);
    let namespaces = "SELECT count(*) FROM namespaces WHERE removed_at IS NULL";
    assert_eq!(database.query(namespaces).unwrap(), "1");
    database
        .query("UPDATE namespaces SET status = 'active', next_attempt_at = NULL")
        .unwrap();

    // A restart is all that is needed, and what the operator ends before it is ended.
    let told = one.admin(&["end-all", "sessions", "--yes"]);
    assert!(told.starts_with("ended 1 session"), "{told}");
    one.restart().await;
    two.restart().await;
    for key in &later {
        assert_eq!(status(key).await, 401, "made after the dump");
    }
    for key in kept.iter().chain(&revoked) {
        assert_eq!(status(key).await, 200, "as it was then");
    }
    ada.get("/v1/auth/session")
        .await
        .problem(401, "invalid_access_token");
    one.admin(&["end-all", "keys", "--yes"]);
    for key in kept.iter().chain(&revoked) {
        let refused = async || status(key).await == 401;
        eventually("refused", SECOND, refused).await;
    }
    for server in [&one, &two] {
        assert_eq!(readiness(server).await.0, 200);
        assert_eq!(
            server.log().matches("restored or replaced under").count(),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_before_in_the_same_tables_turn_both_instances_unready() {
    // R7: a data-only restore, or the server's own files from an hour ago.
    let one = Server::start(Backend::Postgres).await;
    let two = one.second_instance().await;
    let database = one.database.as_ref().unwrap();
    tokio::time::sleep(2 * SECOND).await;
    database
        .query("UPDATE pulse SET pulsed_at = pulsed_at - interval '1 hour', raised_from = raised_from - interval '1 hour'")
        .unwrap();
    let restored = Stopwatch::start();
    for server in [&one, &two] {
        let unready = async || readiness(server).await.0 == 503;
        let left = NOTICED.saturating_sub(restored.elapsed());
        eventually("unready", left, unready).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_a_moment_makes_instances_forget_and_go_on() {
    // R7
    let one = Server::start(Backend::Postgres).await;
    let two = one.second_instance().await;
    let ada = one.operator().await;
    let key = ada.key(json!({"all": true})).await;
    let there = at(&key, &two);
    for key in [&key, &there] {
        for _ in 0..2 {
            assert_eq!(status(key).await, 200);
        }
    }
    let database = one.database.as_ref().unwrap();
    // What was written in the last moments is not there any more, and nobody was told.
    database
        .query("ALTER TABLE api_keys DISABLE TRIGGER USER")
        .unwrap();
    let id = key.id();
    database
        .query(&format!(
            "UPDATE api_keys SET revoked_at = now() WHERE id = '{id}'"
        ))
        .unwrap();
    tokio::time::sleep(2 * SECOND).await;
    for key in [&key, &there] {
        assert_eq!(status(key).await, 200, "remembered");
    }
    database
        .query("UPDATE pulse SET pulsed_at = pulsed_at - interval '9 seconds', raised_from = raised_from - interval '9 seconds'")
        .unwrap();
    let stepped = Stopwatch::start();
    for key in [&key, &there] {
        let forgotten = async || status(key).await == 401;
        let left = NOTICED.saturating_sub(stepped.elapsed());
        eventually("forgotten", left, forgotten).await;
    }
    tokio::time::sleep(3 * SECOND).await;
    for server in [&one, &two] {
        assert_eq!(readiness(server).await.0, 200);
        assert_eq!(
            server
                .log()
                .matches("the database went back a little")
                .count(),
            1
        );
    }
    // And it remembers again.
    database
        .query("ALTER TABLE api_keys ENABLE TRIGGER USER")
        .unwrap();
    let metrics = client()
        .get(format!("{}/metrics", two.internal_url))
        .send()
        .await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\nremotegpu_api_key_cache_trusted 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nremotegpu_database_restored 0\n"),
        "{metrics}"
    );
}

/// Whether the file is put in the place of the server's, or written over it.
async fn a_sqlite_file_brought_back(bring: impl Fn(&Path, &Path)) {
    let mut server = Server::start(Backend::Sqlite).await;
    let ada = server.operator().await;
    let kept = ada.key(json!({"all": true})).await;
    assert!(server.stop().success());
    let file = server.path("data/remotegpu.db");
    let backup = server.path("data/backup.db");
    let restored_from = server.path("data/kept.db");
    for copy in [&backup, &restored_from] {
        std::fs::copy(&file, copy).unwrap();
    }
    server.run().await;
    let later = ada.key(json!({"all": true})).await;
    for key in [&kept, &later] {
        for _ in 0..2 {
            assert_eq!(status(key).await, 200);
        }
    }
    // A backup that is some seconds old.
    tokio::time::sleep(7 * SECOND).await;
    assert_eq!(readiness(&server).await.0, 200);
    bring(&backup, &file);
    let restored = Stopwatch::start();
    let unready = async || readiness(&server).await.0 == 503;
    eventually(
        "unready",
        NOTICED.saturating_sub(restored.elapsed()),
        unready,
    )
    .await;
    for key in [&kept, &later] {
        let refused = key.get("/v1/auth/key").await;
        assert_eq!(refused.problem(503, "database_unavailable"), SENTENCE);
    }
    let log = server.log();
    assert!(!log.contains("a request failed"), "told once: {log}");
    assert!(server.stop().success());
    // The log beside the file belongs to the one that was there, and a connection that the server
    // opened before it noticed may have read it into the file that was brought back.
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(server.path(&format!("data/remotegpu.db{end}")));
    }
    std::fs::copy(&restored_from, &file).unwrap();
    server.run().await;
    assert_eq!((status(&kept).await, status(&later).await), (200, 401));
    Person::sign_in(&server.url, "admin@localhost", ADMIN_PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_in_place_of_the_servers_turns_it_unready() {
    // R7
    a_sqlite_file_brought_back(|backup, file| std::fs::rename(backup, file).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_copied_over_the_servers_turns_it_unready() {
    // R7
    a_sqlite_file_brought_back(|backup, file| {
        std::fs::copy(backup, file).unwrap();
    })
    .await;
}
