//! `kill -9` at odd moments: what was answered is there, what was ended stays
//! ended.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Backend, KeyHolder, Person, Server, ServerOptions, cluster_client};

/// What the server has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    keys: Vec<KeyHolder>,
    revoked: Vec<(KeyHolder, Option<String>)>,
    namespaces: Vec<Value>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.keys.len() + self.revoked.len() + self.namespaces.len()
    }
}

/// Makes keys, mints with them and revokes every second one, and makes a
/// namespace now and then, until the server is gone.
async fn write(
    person: Person,
    home: Value,
    seen: Arc<Mutex<Acknowledged>>,
    writer: usize,
    round: usize,
) {
    for step in 0.. {
        let path = "/v1/account/api-keys";
        let body = json!({"name": format!("{writer}-{step}"), "scopes": {"all": true}});
        let Ok(answer) = person
            .request(reqwest::Method::POST, path)
            .json(&body)
            .send()
            .await
        else {
            return;
        };
        assert_eq!(answer.status(), 201);
        let Ok(item) = answer.json::<Value>().await else {
            return;
        };
        let key = KeyHolder::new(&person.url, item);
        if step % 2 == 0 {
            seen.lock().unwrap().keys.push(key);
        } else {
            let minting = format!(
                "{}/v1/kubernetes/namespaces/{}/exec-credential",
                key.url,
                home["id"].as_str().unwrap()
            );
            let minted = key
                .http
                .post(minting)
                .header("x-api-key", &key.key)
                .send()
                .await;
            let token = match minted {
                Ok(answer) => match answer.json::<Value>().await {
                    Ok(body) => body["status"]["token"].as_str().map(str::to_owned),
                    Err(_) => return,
                },
                Err(_) => return,
            };
            let path = format!("{path}/{}/revoke", key.id());
            match person.request(reqwest::Method::POST, &path).send().await {
                Ok(answer) if answer.status() == 200 => {
                    seen.lock().unwrap().revoked.push((key, token));
                }
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => return,
            }
        }
        if step % 4 == 0 {
            let body = json!({"name": format!("ns-{round}-{writer}-{step}")});
            let request = person.request(reqwest::Method::POST, "/v1/kubernetes/namespaces");
            let Ok(answer) = request.json(&body).send().await else {
                return;
            };
            assert_eq!(answer.status(), 201);
            let Ok(item) = answer.json::<Value>().await else {
                return;
            };
            seen.lock().unwrap().namespaces.push(item);
        }
    }
}

async fn nothing_acknowledged_is_lost(backend: Backend) {
    let options = ServerOptions::new(backend)
        .with("key-limit", "100000")
        .with("namespace-limit", "100000");
    let mut server = Server::start_with(options).await;
    let person = server.operator().await;
    let home = person.namespace("home").await;
    let (cluster, url) = cluster_client(&person.kubeconfig(&home, "shell").await);
    let pods = format!(
        "{url}/api/v1/namespaces/{}/pods",
        home["kubernetes_namespace"].as_str().unwrap()
    );
    let seen = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..5_usize {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (person, home) = (person.clone(), home.clone());
                tokio::spawn(write(person, home, Arc::clone(&seen), writer, round))
            })
            .collect();
        // However slow the machine: the kill comes when writes have been
        // acknowledged and more are under way, a little later each round.
        let enough = seen.lock().unwrap().count() + 16;
        let deadline = Instant::now() + Duration::from_mins(1);
        while seen.lock().unwrap().count() < enough {
            assert!(Instant::now() < deadline, "the writers write nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * round as u64)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        server.run().await;
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(
        seen.keys.len() > 10 && seen.revoked.len() > 5 && seen.namespaces.len() > 5,
        "{} keys, {} revoked, {} namespaces",
        seen.keys.len(),
        seen.revoked.len(),
        seen.namespaces.len()
    );
    for key in &seen.keys {
        key.get("/v1/auth/key").await.expect(200);
    }
    for (key, _) in &seen.revoked {
        key.get("/v1/auth/key")
            .await
            .problem(401, "invalid_api_key");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    for (key, token) in &seen.revoked {
        let Some(token) = token else { continue };
        loop {
            let answer = cluster.get(&pods).bearer_auth(token).send().await.unwrap();
            if !answer.status().is_success() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "a token of {} still opens",
                key.id()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for namespace in &seen.namespaces {
        loop {
            let found = find(&person, namespace).await;
            let found = found.unwrap_or_else(|| panic!("{namespace} is lost"));
            assert_eq!(
                found["kubernetes_namespace"],
                namespace["kubernetes_namespace"]
            );
            if found["status"] == "active" {
                break;
            }
            assert!(Instant::now() < deadline, "{found} does not become active");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Looks a namespace up in the account's list, page by page.
async fn find(person: &Person, namespace: &Value) -> Option<Value> {
    let mut cursor = String::new();
    loop {
        let page = person
            .get(&format!("/v1/kubernetes/namespaces?limit=200{cursor}"))
            .await
            .expect(200);
        let items = page["items"].as_array().unwrap();
        if let Some(found) = items.iter().find(|item| item["id"] == namespace["id"]) {
            return Some(found.clone());
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str()?);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    nothing_acknowledged_is_lost(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_on_postgresql() {
    nothing_acknowledged_is_lost(Backend::Postgres).await;
}
