//! `/v1/account/service-users/{service_user_id}/tokens`

use std::time::Duration;

use serde_json::json;

use crate::support::{Backend, Server, eventually, in_millis, time_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_can_be_read_without_its_secret() {
    // K2, K3, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let me = ada.get("/v1/auth/session").await.expect(200);
    let machine = ada.service_user("write").await;
    let (path, mut item) = (format!("{}/tokens", machine.path()), machine.token.clone());
    let secret = item["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("rgsu_") && secret.len() == 41, "{item}");
    assert_eq!(item["prefix"], secret[..13]);
    assert_eq!(item["created_by"], me["user"]["id"]);
    assert_eq!(item["last_used_at"], json!(null));
    let lasts = time_of(&item["expires_at"]) - time_of(&item["created_at"]);
    assert_eq!(lasts, time::Duration::HOUR);
    item.as_object_mut().unwrap().remove("token");
    assert_eq!(ada.get(&path).await.expect(200)["items"], json!([item]));
    assert_eq!(ada.get(&machine.token_path()).await.expect(200), item);

    machine.caller.get("/v1/auth/session").await.expect(200);
    let used = ada.get(&machine.token_path()).await.expect(200);
    let first = time_of(&used["last_used_at"]);
    assert!(first >= time_of(&used["created_at"]));
    // At most one write a minute.
    machine.caller.get("/v1/auth/session").await.expect(200);
    let used = ada.get(&machine.token_path()).await.expect(200);
    assert_eq!(time_of(&used["last_used_at"]), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_expiry_is_given() {
    // K4, K5, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("write").await;
    let path = format!("{}/tokens", machine.path());
    let end = "2999-01-01T00:00:00Z";
    let made = ada
        .post(&path, json!({"name": "x", "expires_at": end}))
        .await;
    assert_eq!(made.expect(201)["expires_at"], end);
    for (body, code, field) in [
        (json!({"name": "x"}), "invalid_field", "expires_in_seconds"),
        (
            json!({"name": "x", "expires_at": end, "expires_in_seconds": 60}),
            "invalid_field",
            "expires_at",
        ),
        (
            json!({"name": "x", "expires_at": null}),
            "invalid_field",
            "expires_at",
        ),
        (
            json!({"name": "x", "expires_in_seconds": 0}),
            "invalid_field",
            "expires_in_seconds",
        ),
        (
            json!({"name": "x", "expires_in_seconds": i64::MAX}),
            "invalid_field",
            "expires_in_seconds",
        ),
        (
            json!({"name": "", "expires_in_seconds": 60}),
            "invalid_field",
            "name",
        ),
    ] {
        let refused = ada.post(&path, body.clone()).await;
        refused.problem(400, code);
        let told = refused.json()["errors"].clone();
        assert_eq!(told[0]["field"], field, "{body}");
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    }
    let past = json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"});
    let refused = ada.post(&path, past).await;
    refused.problem(400, "expiry_not_in_future");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_by_the_clock_by_deletion_and_with_its_account() {
    // A13, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("write").await;
    let path = format!("{}/tokens", machine.path());
    let asks = async |token: &str| {
        let mut caller = machine.caller.clone();
        token.clone_into(&mut caller.session_token);
        caller.get("/v1/auth/session").await
    };
    let body = json!({"name": "short", "expires_at": in_millis(3_000)});
    let short = ada.post(&path, body).await.expect(201);
    let short = short["token"].as_str().unwrap();
    asks(short).await.expect(200);
    eventually("the token expires", Duration::from_secs(20), async || {
        asks(short).await.status == 401
    })
    .await;
    let detail = asks(short).await.problem(401, "invalid_access_token");
    assert_eq!(detail, "Invalid access token");

    let other = json!({"name": "other", "expires_in_seconds": 3600});
    let other = ada.post(&path, other).await.expect(201);
    let other = other["token"].as_str().unwrap();
    machine.caller.get("/v1/auth/session").await.expect(200);
    ada.delete(&machine.token_path()).await.expect(204);
    let gone = machine.caller.get("/v1/auth/session").await;
    gone.problem(401, "invalid_access_token");
    ada.delete(&machine.token_path())
        .await
        .problem(404, "not_found");
    ada.get(&machine.token_path())
        .await
        .problem(404, "not_found");
    asks(other).await.expect(200);

    let account = ada.account_id().await;
    server.admin(&["account", "suspend", &account]);
    asks(other).await.problem(401, "invalid_access_token");
    server.admin(&["account", "resume", &account]);
    asks(other).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_with_its_own_service_user_alone() {
    // C6, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let (one, other) = (
        ada.service_user("read").await,
        ada.service_user("read").await,
    );
    let crossed = format!("{}/tokens/{}", one.path(), other.token_id());
    ada.get(&crossed).await.problem(404, "not_found");
    ada.delete(&crossed).await.problem(404, "not_found");
    ada.get(&other.token_path()).await.expect(200);
}
