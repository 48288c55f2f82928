//! `GET /v1/auth/key`

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Backend, KeyHolder, Server, client, eventually, in_millis};

const PATH: &str = "/v1/auth/key";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_tells_about_itself() {
    // A12, K2
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = person.key(json!({"inference": true, "all": false})).await;
    let answer = key.get(PATH).await;
    let told = answer.expect(200);
    insta::assert_json_snapshot!("key", told, {
        ".id" => "[id]",
        ".prefix" => "[prefix]",
    });
    assert_eq!(told["id"], key.item["id"]);
    assert_eq!(told["prefix"], key.item["prefix"]);
    assert!(!answer.text.contains(&key.key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_in_headers_alone_and_only_one() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let (one, two) = (
        person.key(json!({"all": true})).await,
        person.key(json!({"all": true})).await,
    );
    let url = format!("{}{PATH}", server.url);
    let get = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(client().get(&url), |request, (name, value)| {
                request.header(*name, *value)
            });
        Answer::read(request.send().await.unwrap()).await
    };
    let bearer = format!("Bearer {}", one.key);
    let other_bearer = format!("Bearer {}", two.key);
    let session = format!("Bearer {}", person.session_token);
    let in_cookie = format!("x-api-key={0}; api_key={0}; remotegpu_session={0}", one.key);
    // A2, A3
    for headers in [
        &[("x-api-key", one.key.as_str())][..],
        &[("X-API-Key", &one.key)],
        &[("authorization", &bearer)],
        &[("authorization", &bearer), ("x-api-key", &one.key)],
        &[("authorization", &session), ("x-api-key", &one.key)],
    ] {
        assert_eq!(
            get(headers).await.expect(200)["id"],
            one.item["id"],
            "{headers:?}"
        );
    }
    // A2 [S], A3, A5: what is no key at all.
    for headers in [
        &[][..],
        &[("authorization", session.as_str())],
        &[("cookie", &in_cookie)],
        &[("authorization", &one.key)],
        &[("api-key", &one.key)],
    ] {
        let answer = get(headers).await;
        assert_eq!(
            answer.problem(401, "missing_api_key"),
            "Missing API key",
            "{headers:?}"
        );
        assert!(answer.header("www-authenticate").is_some());
    }
    for request in [
        client()
            .get(&url)
            .query(&[("api_key", &one.key), ("x-api-key", &one.key)]),
        client()
            .get(&url)
            .json(&json!({"api_key": one.key, "x-api-key": one.key})),
    ] {
        let answer = Answer::read(request.send().await.unwrap()).await;
        answer.problem(401, "missing_api_key");
    }
    // A3: two.
    for headers in [
        &[
            ("x-api-key", one.key.as_str()),
            ("authorization", &other_bearer),
        ][..],
        &[("x-api-key", &one.key), ("x-api-key", &one.key)],
        &[("x-api-key", &one.key), ("x-api-key", &two.key)],
    ] {
        let answer = get(headers).await;
        assert_eq!(
            answer.problem(401, "invalid_api_key"),
            "Invalid API key",
            "{headers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_open_nothing_answer_alike() {
    // A4, C6
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let revoked = person.key(json!({"all": true})).await;
    person.revoke(&revoked).await;
    let body = json!({"name": "x", "scopes": {"all": true}, "expires_at": in_millis(5_000)});
    let expired = person.post("/v1/account/api-keys", body).await.expect(201);
    let expired = KeyHolder::new(&server.url, expired);
    expired.get(PATH).await.expect(200);
    eventually("the key expires", Duration::from_secs(20), async || {
        !expired.get(PATH).await.status.is_success()
    })
    .await;
    let good = &revoked.key;
    let wrong_checksum = good[..40].to_owned() + if good.ends_with('0') { "1" } else { "0" };
    let wrong_length = format!("{good}0");
    let mut answers = Vec::new();
    for text in [
        good.as_str(),
        &expired.key,
        // Nobody's, with the checksum of the documentation's example (K3).
        "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V",
        "rgpu_0123456789ABCDEFGHIJKLMNOPQRST33fh1v",
        &wrong_checksum,
        &wrong_length,
        "rgpu_",
        "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa_16C57V",
        "sk-something-else",
        "x",
        "{}",
    ] {
        for path in [PATH, "/v1/kubernetes/namespaces/x/exec-credential"] {
            let request = match path {
                PATH => client().get(format!("{}{path}", server.url)),
                _ => client().post(format!("{}{path}", server.url)),
            };
            let request = request.header("x-api-key", text);
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(
                answer.problem(401, "invalid_api_key"),
                "Invalid API key",
                "{text}"
            );
            answers.push(answer.without_request_id());
        }
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}
