//! `POST /v1/account/api-keys/{key_id}/revoke`

use serde_json::json;
use uuid::Uuid;

use super::{dead_keys, item, key_path};
use crate::support::{Backend, Server, time_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_opens_nothing_with_the_next_request() {
    // K13, K1
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let (key, other) = (
        person.key(json!({"all": true})).await,
        person.key(json!({"all": true})).await,
    );
    key.get("/v1/auth/key").await.expect(200);
    // C1: a route that takes no body ignores one.
    let request = person.request(reqwest::Method::POST, &key_path(key.id(), "revoke"));
    let answer = request
        .header("content-type", "text/plain")
        .body("{")
        .send()
        .await
        .unwrap();
    let revoked = crate::support::Answer::read(answer).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    assert!(time_of(&revoked["revoked_at"]) >= time_of(&revoked["created_at"]));
    assert_eq!(revoked.get("key"), None, "K2");
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    other.get("/v1/auth/key").await.expect(200);
    let listed = item(&person, key.id()).await;
    assert_eq!(listed["revoked_at"], revoked["revoked_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_keys_cannot_be_modified_and_unknown_ones_are_not_found() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let bob = server.person("bob").await.key(json!({"all": true})).await;
    let acts = [
        ("PATCH", "", json!({"name": "x"})),
        ("PATCH", "", json!({"expires_at": null})),
        ("PATCH", "", json!({"scopes": {"inference": true}})),
        ("POST", "revoke", json!({})),
        ("POST", "rotate", json!({})),
        ("POST", "rotate", json!({"grace_seconds": 60})),
    ];
    // K6 [S]
    for (status, id) in dead_keys(&person).await {
        let before = item(&person, &id).await;
        assert_eq!(before["status"], status);
        for (method, act, body) in &acts {
            let answer = person
                .send(method.parse().unwrap(), &key_path(&id, act), body.clone())
                .await;
            let detail = answer.problem(409, "key_not_active");
            assert_eq!(
                detail, "Revoked or expired keys cannot be modified",
                "{status} {act}"
            );
        }
        assert_eq!(item(&person, &id).await, before);
    }
    // K7 [S], C5, C6
    for id in [
        &Uuid::new_v4().to_string(),
        bob.id(),
        "nonsense",
        "%00",
        "%FF",
        "a%2Fb",
        "'",
    ] {
        for (method, act, body) in &acts {
            let answer = person
                .send(method.parse().unwrap(), &key_path(id, act), body.clone())
                .await;
            assert_eq!(
                answer.problem(404, "api_key_not_found"),
                "API key not found",
                "{id} {act}"
            );
        }
    }
    // C5: existence before the body.
    let unknown = key_path(&Uuid::new_v4().to_string(), "");
    person
        .patch(&unknown, json!({"nonsense": 1}))
        .await
        .problem(404, "api_key_not_found");
    // C5: and the body before the state.
    for (_, id) in dead_keys(&person).await {
        let path = key_path(&id, "");
        let change = async |body| person.patch(&path, body).await;
        change(json!({})).await.problem(400, "invalid_body");
        change(json!({"name": ""}))
            .await
            .problem(400, "invalid_field");
        // There is no DELETE.
        let deleted = person.delete(&path).await;
        deleted.problem(405, "method_not_allowed");
        assert_eq!(deleted.header("allow"), Some("GET, HEAD, PATCH"));
    }
    bob.get("/v1/auth/key").await.expect(200);
}
