//! Several instances, or a server and the operator beside it, agree about keys.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use remotegpu_test_support::postgres::TestPostgres;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{Backend, KeyHolder, Server, ServerOptions, Stopwatch, client, eventually};

const PATH: &str = "/v1/auth/key";

/// The same key, shown to another instance.
fn at(key: &KeyHolder, server: &Server) -> KeyHolder {
    let mut item = key.item.clone();
    item["key"] = json!(key.key);
    KeyHolder::new(&server.url, item)
}

async fn status(key: &KeyHolder) -> u16 {
    key.get(PATH).await.status.as_u16()
}

/// How long until the key is refused; it must not be 200 after that again.
async fn until_refused(key: &KeyHolder, limit: Duration) -> Duration {
    let started = Stopwatch::start();
    loop {
        match status(key).await {
            200 => assert!(
                !started.is_over(limit),
                "still 200 after {:?}",
                started.elapsed()
            ),
            401 => return started.elapsed(),
            other => panic!("{other}"),
        }
    }
}

/// Clients that never stop asking, until the load is dropped.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(servers: &[&Server], key: &KeyHolder) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let asked = servers.iter().cycle().take(servers.len() * 2);
        let clients = asked
            .map(|server| {
                let key = at(key, server);
                let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(status(&key).await, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        Self {
            over,
            answered,
            clients,
        }
    }

    async fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_revoked_on_one_instance_is_refused_on_the_other_within_a_second() {
    // K13
    let options = ServerOptions::new(Backend::Postgres).with("key-limit", "1000");
    let one = Server::start_with(options).await;
    let two = one.second_instance().await;
    let ada = one.operator().await;
    let load = Load::on(&[&one, &two], &ada.key(json!({"all": true})).await);
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let key = ada.key(json!({"all": true})).await;
        let there = at(&key, &two);
        // Both remember it.
        for _ in 0..2 {
            assert_eq!(status(&key).await, 200);
            assert_eq!(status(&there).await, 200);
        }
        let path = format!("/v1/account/api-keys/{}/revoke", key.id());
        ada.post(&path, json!({})).await.expect(200);
        assert_eq!(status(&key).await, 401, "the next request here");
        slowest = slowest.max(until_refused(&there, Duration::from_secs(1)).await);
    }
    let answered = load.end().await;
    eprintln!("slowest of 100: {slowest:?}, beside {answered} other requests");
    assert!(answered > 100);
    let metrics = client().get(format!("{}/metrics", two.internal_url));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("remotegpu_api_key_cache_trusted 1"),
        "{metrics}"
    );
    let hits = metrics
        .lines()
        .find_map(|line| line.strip_prefix("remotegpu_api_key_cache_hits_total "));
    assert!(hits.unwrap().parse::<u64>().unwrap() > 100, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_channel_a_revoked_key_is_refused_within_five_seconds() {
    // K13
    let one = Server::start(Backend::Postgres).await;
    let two = one.second_instance().await;
    let ada = one.operator().await;
    for _ in 0..5 {
        let key = ada.key(json!({"all": true})).await;
        let there = at(&key, &two);
        for _ in 0..2 {
            assert_eq!(status(&there).await, 200);
        }
        let database = one.database.as_ref().unwrap();
        let ended = database.query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        );
        assert_eq!(ended.unwrap().trim(), "2", "each instance listens");
        // By hand, so that no instance knows of it from itself.
        let id = key.id();
        let revoke = format!("UPDATE api_keys SET revoked_at = now() WHERE id = '{id}'");
        database.query(&revoke).unwrap();
        until_refused(&there, Duration::from_secs(5)).await;
        until_refused(&key, Duration::from_secs(5)).await;
        let listens = async || {
            let count = database.query(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE 'LISTEN%'",
            );
            count.unwrap().trim() == "2"
        };
        eventually("both listen again", Duration::from_secs(10), listens).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_told_and_its_return_noticed_without_a_restart() {
    // C7, K13, R4
    let mut postgres = TestPostgres::private().unwrap();
    let url = postgres.url();
    let options = ServerOptions::new(Backend::Sqlite)
        .with("database-url", url)
        .with("key-limit", "100");
    let one = Server::start_with(options).await;
    let two = one.second_instance().await;
    let ada = one.operator().await;
    let key = ada.key(json!({"all": true})).await;
    let there = at(&key, &two);
    for _ in 0..2 {
        assert_eq!((status(&key).await, status(&there).await), (200, 200));
    }
    let ready = async |server: &Server| {
        let asked = client().get(format!("{}/readyz", server.url));
        asked.send().await.unwrap().status().as_u16()
    };

    postgres.stop().unwrap();
    let stopped = Stopwatch::start();
    for server in [&one, &two] {
        let unready = async || ready(server).await == 503;
        let left = Duration::from_secs(3).saturating_sub(stopped.elapsed());
        eventually("unready (R4)", left, unready).await;
    }
    for key in [&key, &there] {
        let asked = Stopwatch::start();
        let answer = key.get(PATH).await;
        answer.problem(503, "database_unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(!asked.is_over(Duration::from_secs(5)), "C7");
    }
    let live = client().get(format!("{}/livez", two.url));
    assert_eq!(live.send().await.unwrap().status(), 200);

    postgres.start().unwrap();
    let back = Stopwatch::start();
    for (server, key) in [(&one, &key), (&two, &there)] {
        let well = async || ready(server).await == 200 && status(key).await == 200;
        let left = Duration::from_secs(2).saturating_sub(back.elapsed());
        eventually("all is well", left, well).await;
    }
    let path = format!("/v1/account/api-keys/{}/revoke", key.id());
    ada.post(&path, json!({})).await.expect(200);
    assert_eq!(status(&key).await, 401);
    until_refused(&there, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_does_beside_the_server_is_noticed_within_a_second() {
    // A13, K13, R1
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = Server::start(backend).await;
        let ada = server.operator().await;
        let account = ada.account_id().await;
        let key = ada.key(json!({"all": true})).await;
        for _ in 0..2 {
            assert_eq!(status(&key).await, 200);
        }
        server.admin(&["account", "suspend", &account]);
        until_refused(&key, Duration::from_secs(1)).await;
        server.admin(&["account", "resume", &account]);
        let works = async || status(&key).await == 200;
        eventually("the key works again", Duration::from_secs(1), works).await;
    }
}
