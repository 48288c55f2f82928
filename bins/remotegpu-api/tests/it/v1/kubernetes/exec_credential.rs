//! `POST /v1/kubernetes/namespaces/{namespace_id}/exec-credential`

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Answer, Backend, KeyHolder, Server, ServerOptions, client, in_millis, time_of,
};

fn exec_path(id: &str) -> String {
    format!("/v1/kubernetes/namespaces/{id}/exec-credential")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_bare_and_fresh() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    // X6 [S], X7
    let answer = key.mint(&namespace).await;
    let credential = answer.expect(200);
    insta::assert_json_snapshot!("credential", credential, {
        ".status.token" => "[token]",
        ".status.expirationTimestamp" => "[time]",
    });
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "C3");
    let end = credential["status"]["expirationTimestamp"]
        .as_str()
        .unwrap();
    assert_eq!(
        end.len(),
        "2026-01-01T00:00:00Z".len(),
        "X7: whole seconds: {end}"
    );
    // X8: 3600 s by default.
    let left = time_of(&end.into()) - time_of(&in_millis(0).into());
    assert!(
        (3600 - 65..=3600 + 5).contains(&left.whole_seconds()),
        "{left}"
    );
    let again = key.mint(&namespace).await.expect(200);
    assert_ne!(
        again["status"]["token"], credential["status"]["token"],
        "X8: a fresh one"
    );

    // X7: a body is ignored, whatever it is; A3: Bearer too.
    let url = format!(
        "{}{}",
        server.url,
        exec_path(namespace["id"].as_str().unwrap())
    );
    for (content_type, body) in [
        ("application/json", "{\"spec\":"),
        ("text/plain", "x"),
        ("", "\u{FEFF}"),
        ("a/b", ""),
    ] {
        let request = client()
            .post(&url)
            .bearer_auth(&key.key)
            .header("content-type", content_type);
        Answer::read(request.body(body).send().await.unwrap())
            .await
            .expect(200);
    }
    let gzip = client()
        .post(&url)
        .header("x-api-key", &key.key)
        .header("content-encoding", "gzip");
    Answer::read(gzip.body("x").send().await.unwrap())
        .await
        .expect(200);

    // A2 [S]
    let without = client().post(&url).send().await.unwrap();
    let detail = Answer::read(without).await.problem(401, "missing_api_key");
    assert_eq!(detail, "Missing API key");
    let session = client()
        .post(&url)
        .bearer_auth(&person.session_token)
        .send()
        .await
        .unwrap();
    Answer::read(session).await.problem(401, "missing_api_key");
    // C5
    let get = client().get(&url).send().await.unwrap();
    let get = Answer::read(get).await;
    get.problem(405, "method_not_allowed");
    assert_eq!(get.header("allow"), Some("POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_scopes_that_name_the_namespace_open_it() {
    // X11 [S], X6, C6
    let server = Server::start(Backend::Sqlite).await;
    let (person, bob) = (server.operator().await, server.person("bob").await);
    let (own, other) = (
        person.namespace("own").await,
        person.namespace("other").await,
    );
    let his = bob.namespace("own").await;
    let ids = json!({"kubernetes_exec": {"namespace_ids": [own["id"]]}});
    let mut answers = Vec::new();
    for (scopes, opens_own, opens_other) in [
        (json!({"all": true}), true, true),
        (
            json!({"kubernetes_exec": {"all_namespaces": true}}),
            true,
            true,
        ),
        (ids.clone(), true, false),
        (json!({"inference": true}), false, false),
    ] {
        let key = person.key(scopes.clone()).await;
        for (namespace, opens) in [(&own, opens_own), (&other, opens_other), (&his, false)] {
            let answer = key.mint(namespace).await;
            if opens {
                answer.expect(200);
            } else {
                let detail = answer.problem(403, "exec_not_allowed");
                assert_eq!(
                    detail, "This API key does not allow Kubernetes exec for this namespace",
                    "{scopes}"
                );
                answers.push(answer.without_request_id());
            }
        }
    }
    let key = person.key(json!({"all": true})).await;
    let unknown = Uuid::new_v4().to_string();
    for id in [&unknown, "nonsense", "%FF", "%2F"] {
        let answer = key.post(&exec_path(id)).await;
        answer.problem(403, "exec_not_allowed");
        answers.push(answer.without_request_id());
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_promised_no_longer_than_its_secret_lives() {
    // X9
    let options = ServerOptions::new(Backend::Sqlite).with("token-seconds", "1200");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let end_of = async |key: &KeyHolder| {
        let minted = key.mint(&namespace).await.expect(200);
        time_of(&minted["status"]["expirationTimestamp"])
    };
    let now = || time_of(&in_millis(0).into());
    let forever = person.key(json!({"all": true})).await;
    let left = end_of(&forever).await - now();
    assert!(
        (1200 - 65..=1205).contains(&left.whole_seconds()),
        "R3, X8: {left}"
    );
    for seconds in [60, 900] {
        let expires_at = in_millis(seconds * 1000);
        let body = json!({"name": "x", "scopes": {"all": true}, "expires_at": expires_at});
        let made = person.post("/v1/account/api-keys", body).await.expect(201);
        let key = KeyHolder::new(&server.url, made.clone());
        let end = end_of(&key).await;
        assert!(end <= time_of(&made["expires_at"]), "{end} {made}");
        assert!(end > now(), "{end}");
    }
    let old = person.key(json!({"all": true})).await;
    let path = format!("/v1/account/api-keys/{}/rotate", old.id());
    let rotated = person
        .post(&path, json!({"grace_seconds": 100}))
        .await
        .expect(200);
    let left = end_of(&old).await - now();
    assert!(left.whole_seconds() <= 100, "{left}");
    let left = end_of(&KeyHolder::new(&server.url, rotated)).await - now();
    assert!(left.whole_seconds() > 1000, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_mints_too_often_is_told_when_to_come_again() {
    // X4, X8
    let options = ServerOptions::new(Backend::Sqlite)
        .with("mint-rate", "1")
        .with("mint-burst", "2");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let answers = join_all((0..12).map(|_| key.mint(&namespace))).await;
    let refused = answers.iter().filter(|answer| answer.status != 200);
    let told = refused.map(|answer| {
        let detail = answer.problem(429, "rate_limited");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        let unit = if seconds == 1 { "second" } else { "seconds" };
        assert_eq!(
            detail,
            format!("This API key asks for credentials too often: come again in {seconds} {unit}")
        );
    });
    assert!(told.count() > 0, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_the_servers_time() {
    // X4
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let other = person.key(json!({"inference": true})).await;
    let url = format!(
        "{}{}",
        server.url,
        exec_path(namespace["id"].as_str().unwrap())
    );
    let nobody = Answer::read(client().post(url).send().await.unwrap()).await;
    for (answer, status) in [
        (key.mint(&namespace).await, 200),
        (other.mint(&namespace).await, 403),
        (nobody, 401),
        (person.get("/v1/account/api-keys").await, 200),
    ] {
        assert_eq!(answer.status.as_u16(), status);
        let told: i64 = answer.header("x-remotegpu-time").unwrap().parse().unwrap();
        let now = time_of(&in_millis(0).into()).unix_timestamp();
        assert!((now - 60..=now).contains(&told), "{told} {now}");
    }
}
