//! `POST /v1/account/api-keys/{key_id}/rotate`

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATH, create, key_path};
use crate::support::{Answer, Backend, KeyHolder, Person, Server, ServerOptions, eventually};

async fn rotate(person: &Person, key: &KeyHolder, body: Value) -> KeyHolder {
    let rotated = person
        .post(&key_path(key.id(), "rotate"), body)
        .await
        .expect(200);
    KeyHolder::new(&person.url, rotated)
}

async fn opens(key: &KeyHolder) -> bool {
    let answer = key.get("/v1/auth/key").await;
    answer.status.is_success() || {
        answer.problem(401, "invalid_api_key");
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_gives_the_same_key_a_new_secret() {
    // Section 3, K1, K2
    let options = ServerOptions::new(Backend::Sqlite).with("key-limit", "1");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let first = person.key(json!({"all": true})).await;
    let path = key_path(first.id(), "rotate");
    // C1: an absent body reads as {}: no grace.
    let answer = person
        .request(reqwest::Method::POST, &path)
        .send()
        .await
        .unwrap();
    let answer = Answer::read(answer).await;
    let second = KeyHolder::new(&server.url, answer.expect(200));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_ne!(first.key, second.key);
    let prefix = second.item["prefix"].as_str().unwrap();
    assert!(second.key.starts_with(prefix));
    let kept = |item: &Value| {
        let mut item = item.clone();
        for changed in ["key", "prefix", "last_used_at"] {
            item.as_object_mut().unwrap().remove(changed);
        }
        item
    };
    assert_eq!(kept(&first.item), kept(&second.item));
    assert!(!opens(&first).await && opens(&second).await);

    // At most two live: a second rotate ends the oldest at once.
    let third = rotate(&person, &second, json!({"grace_seconds": 86_400})).await;
    assert!(opens(&second).await && opens(&third).await);
    // K8: the old one is no key of its own.
    let items = person.get(PATH).await.expect(200)["items"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(items, 1);
    create(&person, "x").await.problem(409, "key_limit");
    let fourth = rotate(&person, &third, json!({"grace_seconds": 60})).await;
    assert!(!opens(&second).await && opens(&third).await && opens(&fourth).await);
    // Revoking ends both.
    person
        .post(&key_path(first.id(), "revoke"), json!({}))
        .await
        .expect(200);
    assert!(!opens(&third).await && !opens(&fourth).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_secret_works_until_its_grace_is_over() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let first = person.key(json!({"all": true})).await;
    let second = rotate(&person, &first, json!({"grace_seconds": 5})).await;
    assert!(opens(&first).await);
    eventually("the grace ends", Duration::from_secs(20), async || {
        !opens(&first).await
    })
    .await;
    assert!(opens(&second).await);
    for odd in [
        json!(-1),
        json!(86_401),
        json!("60"),
        json!(1.5),
        Value::Null,
    ] {
        let answer = person
            .post(
                &key_path(first.id(), "rotate"),
                json!({"grace_seconds": odd}),
            )
            .await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with("grace_seconds must be"), "{detail}");
        assert_eq!(answer.json()["errors"][0]["field"], "grace_seconds");
    }
    let answer = person
        .post(&key_path(first.id(), "rotate"), json!({"grace": 60}))
        .await;
    answer.problem(400, "invalid_field");
    assert!(opens(&second).await, "a refused rotate changes nothing");
}
