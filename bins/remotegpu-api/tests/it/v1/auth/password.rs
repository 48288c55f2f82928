//! `PUT /v1/auth/password`

use serde_json::json;

use crate::support::{ADMIN_PASSWORD, Answer, Backend, Person, Server, client};

const PATH: &str = "/v1/auth/password";
const EMAIL: &str = "admin@localhost";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_user_s_other_sessions() {
    // A8, A10
    let server = Server::start(Backend::Sqlite).await;
    let (here, elsewhere) = (server.operator().await, server.operator().await);
    let bob = server.person("bob").await;
    let new = "ü".repeat(128);
    let changed = here
        .put(PATH, json!({"current": ADMIN_PASSWORD, "new": new}))
        .await;
    changed.expect(204);
    assert_eq!(changed.text, "");
    here.get("/v1/auth/session").await.expect(200);
    elsewhere
        .get("/v1/auth/session")
        .await
        .problem(401, "invalid_access_token");
    bob.get("/v1/auth/session").await.expect(200);
    let old = json!({"email": EMAIL, "password": ADMIN_PASSWORD});
    let old = client()
        .post(format!("{}/v1/auth/sign-in", server.url))
        .json(&old);
    Answer::read(old.send().await.unwrap())
        .await
        .problem(401, "wrong_credentials");
    Person::sign_in(&server.url, EMAIL, &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_changes_only_for_who_knows_the_current_one() {
    // A8, A10, C1
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let new = "a new password of the operator";
    for (body, field) in [
        (json!({"current": ADMIN_PASSWORD}), "new"),
        (json!({"new": new}), "current"),
        (
            json!({"current": ADMIN_PASSWORD, "new": "x".repeat(11)}),
            "new",
        ),
        (
            json!({"current": ADMIN_PASSWORD, "new": "x".repeat(129)}),
            "new",
        ),
        (
            json!({"current": ADMIN_PASSWORD, "new": ADMIN_PASSWORD}),
            "new",
        ),
        (
            json!({"current": ADMIN_PASSWORD, "new": 123_456_789_012_i64}),
            "new",
        ),
        (
            json!({"current": ADMIN_PASSWORD, "new": new, "email": EMAIL}),
            "email",
        ),
    ] {
        let answer = person.put(PATH, body).await;
        answer.problem(400, "invalid_field");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
        assert!(!answer.text.contains(ADMIN_PASSWORD), "{answer:?}");
    }
    let missing = client()
        .put(format!("{}{PATH}", server.url))
        .json(&json!({}));
    Answer::read(missing.send().await.unwrap())
        .await
        .problem(401, "missing_access_token");

    // Wrong ones are counted as at sign-in.
    for _ in 0..10 {
        let answer = person
            .put(PATH, json!({"current": "not the password", "new": new}))
            .await;
        assert_eq!(
            answer.problem(401, "wrong_credentials"),
            "Wrong e-mail or password"
        );
    }
    let answer = person
        .put(PATH, json!({"current": ADMIN_PASSWORD, "new": new}))
        .await;
    answer.problem(429, "too_many_attempts");
    assert!(answer.header("retry-after").is_some());
    person.get("/v1/auth/session").await.expect(200);
}
