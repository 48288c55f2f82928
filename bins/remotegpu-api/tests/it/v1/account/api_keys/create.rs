//! `POST /v1/account/api-keys`

use serde_json::{Value, json};

use super::{PATH, create, item};
use crate::support::{Backend, KeyHolder, Server, ServerOptions, in_millis, time_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_raw_key_is_in_the_answer_that_made_it_and_nowhere_else() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let expires_at = in_millis(3_600_000);
    let body = json!({"name": "  ci \u{2003}", "scopes": {"all": true}, "expires_at": expires_at});
    let answer = person.post(PATH, body).await;
    let made = answer.expect(201);
    // K1
    insta::assert_json_snapshot!("created", made, {
        ".id" => "[id]",
        ".key" => "[key]",
        ".prefix" => "[prefix]",
        ".created_at" => "[time]",
        ".created_by" => "[id]",
        ".expires_at" => "[time]",
    });
    assert_eq!(answer.header("cache-control"), Some("no-store"), "C3");
    // C4
    let id: uuid::Uuid = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let age = time_of(&in_millis(0).into()) - time_of(&made["created_at"]);
    assert!((0..30).contains(&age.whole_seconds()), "{made}");
    let end = time_of(&made["expires_at"]) - time_of(&expires_at.replace("+00:00", "Z").into());
    assert!(end.abs() < time::Duration::SECOND, "{made}");
    let session = person.get("/v1/auth/session").await.expect(200);
    assert_eq!(made["created_by"], session["user"]["id"]);
    // K2 [S], K3
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("rgpu_") && key.len() == 41);
    assert!(
        key[5..].bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{key}"
    );
    assert_eq!(made["prefix"], key[..13]);
    let list = person.get(PATH).await;
    list.expect(200);
    assert!(!list.text.contains(key));
    let mut listed = made.clone();
    listed.as_object_mut().unwrap().remove("key");
    assert_eq!(item(&person, made["id"].as_str().unwrap()).await, listed);
    KeyHolder::new(&server.url, made)
        .get("/v1/auth/key")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_has_1_to_64_characters() {
    // K4
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = create(&person, "key").await.expect(201);
    let patch = super::key_path(key["id"].as_str().unwrap(), "");
    for name in [
        "x",
        &"ü".repeat(64),
        &format!(" {} ", "🦀".repeat(64)),
        "null; $(id) '\"#",
    ] {
        let made = create(&person, name).await.expect(201);
        assert_eq!(made["name"], name.trim());
        let renamed = person
            .patch(&patch, json!({"name": name}))
            .await
            .expect(200);
        assert_eq!(renamed["name"], name.trim());
    }
    for (name, sentence) in [
        (json!(""), "name must have 1 to 64 characters"),
        (json!(" \u{3000}"), "name must have 1 to 64 characters"),
        (json!("x".repeat(65)), "name must have 1 to 64 characters"),
        (
            json!("a\u{202E}b"),
            "name must not contain control characters, line separators or bidirectional controls",
        ),
        (
            json!("a\u{2028}b"),
            "name must not contain control characters, line separators or bidirectional controls",
        ),
        (
            json!("a\u{0}b"),
            "name must not contain control characters, line separators or bidirectional controls",
        ),
        (json!(7), "name must be a string"),
        (Value::Null, "name must be a string"),
    ] {
        let body = json!({"name": name, "scopes": {"all": true}});
        for answer in [
            person.post(PATH, body).await,
            person.patch(&patch, json!({"name": name})).await,
        ] {
            assert_eq!(answer.problem(400, "invalid_field"), sentence);
            assert_eq!(answer.json()["errors"][0]["field"], "name");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_must_be_in_the_future() {
    // K5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let post = async |expires_at: &Value| {
        let body = json!({"name": "x", "scopes": {"all": true}, "expires_at": expires_at});
        person.post(PATH, body).await
    };
    let key = create(&person, "key").await.expect(201);
    let patch = super::key_path(key["id"].as_str().unwrap(), "");
    for past in [
        in_millis(-1),
        in_millis(-86_400_000),
        "1970-01-01T00:00:00Z".to_owned(),
    ] {
        let patched = person.patch(&patch, json!({"expires_at": past})).await;
        for answer in [post(&json!(past)).await, patched] {
            assert_eq!(
                answer.problem(400, "expiry_not_in_future"),
                "expires_at must be in the future",
                "{past}"
            );
        }
    }
    for (given, shown) in [
        (json!("9999-12-31T23:59:59Z"), json!("9999-12-31T23:59:59Z")),
        (
            json!("2999-01-01T01:00:00+02:00"),
            json!("2998-12-31T23:00:00Z"),
        ),
        (
            json!("2999-01-01t00:00:00.25z"),
            json!("2999-01-01T00:00:00.25Z"),
        ),
        (Value::Null, Value::Null),
    ] {
        let made = post(&given).await.expect(201);
        assert_eq!(made["expires_at"], shown, "{given}");
        assert_eq!(
            item(&person, made["id"].as_str().unwrap()).await["expires_at"],
            shown
        );
    }
    for odd in [
        json!(""),
        json!("tomorrow"),
        json!("2999-01-01"),
        json!("2999-01-01T00:00:00"),
        json!("2999-02-30T00:00:00Z"),
        json!("2999-01-01T00:00:00+25:00"),
        json!("10000-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59-01:00"),
        json!("0000-01-01T00:00:00+01:00"),
        json!(32_472_144_000_i64),
    ] {
        let answer = post(&odd).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with("expires_at "), "{odd}: {detail}");
        person
            .patch(&patch, json!({"expires_at": odd}))
            .await
            .problem(400, "invalid_field");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_says_what_a_key_shall_be_and_nothing_else() {
    // C1, C2, C5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    for (body, sentence) in [
        (json!({}), "name is required"),
        (json!({"scopes": {"all": true}}), "name is required"),
        (json!({"name": "x"}), "scopes is required"),
        (
            json!({"name": "x", "scopes": {"all": true}, "expire_at": null}),
            "expire_at is not known",
        ),
        (
            json!({"name": "x", "scopes": {"all": true}, "id": "x"}),
            "id is not known",
        ),
    ] {
        assert_eq!(
            person.post(PATH, body).await.problem(400, "invalid_field"),
            sentence
        );
    }
    let twice = person
        .request(reqwest::Method::POST, PATH)
        .header("content-type", "application/json")
        .body(r#"{"name":"a","name":"a","scopes":{"all":true}}"#);
    let twice = crate::support::Answer::read(twice.send().await.unwrap()).await;
    assert_eq!(
        twice.problem(400, "invalid_field"),
        "name stands more than once"
    );
    assert_eq!(person.get(PATH).await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_reads_makes_and_changes_no_keys() {
    // A11
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    let listed = reader.get(PATH).await.expect(200);
    assert_eq!(listed["items"][0]["id"], key.id());
    let sentence = "Your role in this account does not allow this";
    let refused = [
        // C5: before the body, and before it is asked whether the key exists.
        reader.post(PATH, json!({"nonsense": 1})).await,
        create(&reader, "x").await,
        reader
            .patch(&super::key_path(key.id(), ""), json!({"name": "y"}))
            .await,
        reader
            .patch(&super::key_path("unknown", ""), json!({"name": "y"}))
            .await,
        reader
            .post(&super::key_path(key.id(), "revoke"), json!({}))
            .await,
        reader
            .post(&super::key_path(key.id(), "rotate"), json!({}))
            .await,
    ];
    for answer in refused {
        assert_eq!(answer.problem(403, "role_too_small"), sentence);
    }
    key.get("/v1/auth/key").await.expect(200);
    let writer = server
        .colleague(&person, "writer@example.org", "write")
        .await;
    let made = create(&writer, "of the writer").await.expect(201);
    assert_ne!(made["created_by"], key.item["created_by"]);
    assert_eq!(
        person.get(PATH).await.expect(200)["items"][0]["id"],
        made["id"]
    );
    writer
        .post(&super::key_path(key.id(), "revoke"), json!({}))
        .await
        .expect(200);
}

async fn the_limit_is_exact(backend: Backend) {
    // K8
    let options = ServerOptions::new(backend).with("key-limit", "5");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let tries = (0..12).map(|_| create(&person, "x"));
    let answers = futures_util::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(made.len(), 5, "{refused:?}");
    for answer in &refused {
        let detail = answer.problem(409, "key_limit");
        assert_eq!(detail, "The account's limit of active API keys is reached");
    }
    // Only active keys count.
    let first = made[0].json()["id"].as_str().unwrap().to_owned();
    person
        .post(&super::key_path(&first, "revoke"), json!({}))
        .await
        .expect(200);
    create(&person, "in its place").await.expect(201);
    create(&person, "one too many")
        .await
        .problem(409, "key_limit");
    // Another account has its own.
    let other = server.person("other").await;
    create(&other, "x").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_keys_is_exact_on_sqlite() {
    the_limit_is_exact(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_keys_is_exact_on_postgresql() {
    the_limit_is_exact(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_created_and_rotated_only_so_often_within_a_minute() {
    // K16
    let options = ServerOptions::new(Backend::Sqlite).with("key-change-rate", "2");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let made = create(&person, "ci").await.expect(201);
    let path = |act| super::key_path(made["id"].as_str().unwrap(), act);
    let rotate = async || person.post(&path("rotate"), json!({})).await;
    rotate().await.expect(200);
    for refused in [create(&person, "ci").await, rotate().await] {
        let often = "This account creates and rotates API keys too often";
        assert_eq!(refused.problem(429, "rate_limited"), often);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{refused:?}");
    }
    // Role, existence and body come first.
    let odd = json!({"name": "ci", "scopes": {}});
    person.post(PATH, odd).await.problem(400, "invalid_scopes");
    let unknown = super::key_path(&uuid::Uuid::nil().to_string(), "rotate");
    let unknown = person.post(&unknown, json!({})).await;
    unknown.problem(404, "api_key_not_found");
    // What makes nothing grow is never refused for it.
    let renamed = person.patch(&path(""), json!({"name": "cd"})).await;
    renamed.expect(200);
    person.post(&path("revoke"), json!({})).await.expect(200);
    let other = server.person("other").await;
    create(&other, "ci").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_twenty_active_keys_by_default() {
    // K8
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    for n in 0..20 {
        create(&person, &format!("key {n}")).await.expect(201);
    }
    create(&person, "one too many")
        .await
        .problem(409, "key_limit");
}
