//! `PATCH /v1/account/api-keys/{key_id}`

use std::time::Duration;

use serde_json::json;

use super::{item, key_path};
use crate::support::{Backend, Server, eventually, in_millis};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_touches_what_it_names_and_takes_effect_at_once() {
    // Section 3, K13
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let path = key_path(key.id(), "");
    let before = item(&person, key.id()).await;

    let renamed = person
        .patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    let mut wanted = before.clone();
    wanted["name"] = "renamed".into();
    assert_eq!(renamed, wanted);
    assert_eq!(renamed.get("key"), None, "K2");

    key.mint(&namespace).await.expect(200);
    person
        .patch(&path, json!({"scopes": {"inference": true}}))
        .await
        .expect(200);
    key.mint(&namespace).await.problem(403, "exec_not_allowed");
    let scopes = json!({"kubernetes_exec": {"namespace_ids": [namespace["id"]]}});
    let changed = person
        .patch(&path, json!({"scopes": scopes}))
        .await
        .expect(200);
    assert_eq!(changed["name"], "renamed");
    key.mint(&namespace).await.expect(200);

    // Absent keeps, null means never.
    let end = "2999-01-01T00:00:00Z";
    let changed = person
        .patch(&path, json!({"expires_at": end}))
        .await
        .expect(200);
    assert_eq!(changed["expires_at"], end);
    let changed = person
        .patch(&path, json!({"name": "again"}))
        .await
        .expect(200);
    assert_eq!(changed["expires_at"], end);
    let changed = person
        .patch(&path, json!({"expires_at": null}))
        .await
        .expect(200);
    assert!(changed["expires_at"].is_null());

    // Empty is 400.
    let empty = person.patch(&path, json!({})).await;
    empty.problem(400, "invalid_body");
    let request = person
        .request(reqwest::Method::PATCH, &path)
        .send()
        .await
        .unwrap();
    crate::support::Answer::read(request)
        .await
        .problem(400, "invalid_body");

    person
        .patch(&path, json!({"expires_at": in_millis(3_000)}))
        .await
        .expect(200);
    eventually("the key expires", Duration::from_secs(20), async || {
        !key.get("/v1/auth/key").await.status.is_success()
    })
    .await;
    assert_eq!(item(&person, key.id()).await["status"], "expired", "K1");
    // K6: what is over stays over.
    let back = person.patch(&path, json!({"expires_at": null})).await;
    assert_eq!(
        back.problem(409, "key_not_active"),
        "Revoked or expired keys cannot be modified"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_written_down_soon() {
    // K14
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    assert!(item(&person, key.id()).await["last_used_at"].is_null());
    key.get("/v1/auth/key").await.expect(200);
    eventually("last_used_at is set", Duration::from_secs(10), async || {
        !item(&person, key.id()).await["last_used_at"].is_null()
    })
    .await;
    let used = item(&person, key.id()).await["last_used_at"].clone();
    crate::support::time_of(&used);
    key.get("/v1/auth/key").await.expect(200);
    assert_eq!(
        item(&person, key.id()).await["last_used_at"],
        used,
        "at most once a minute"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_follows_a_revocation() {
    // K13
    let server = Server::start(Backend::Postgres).await;
    let second = server.second_instance().await;
    let person = server.operator().await;
    let mut key = person.key(json!({"all": true})).await;
    let id = key.id().to_owned();
    key.url.clone_from(&second.url);
    key.get("/v1/auth/key").await.expect(200);
    person
        .post(&key_path(&id, "revoke"), json!({}))
        .await
        .expect(200);
    eventually(
        "the other instance knows",
        Duration::from_secs(3),
        async || !key.get("/v1/auth/key").await.status.is_success(),
    )
    .await;
    // A session is good on every instance too.
    let mut there = person.clone();
    there.url.clone_from(&second.url);
    there.get("/v1/auth/session").await.expect(200);
}
