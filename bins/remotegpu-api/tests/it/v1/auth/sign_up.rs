//! `POST /v1/auth/sign-up`

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Person, Server, ServerOptions, client};

async fn sign_up(server: &Server, body: &Value) -> Answer {
    let request = client()
        .post(format!("{}/v1/auth/sign-up", server.url))
        .json(body);
    Answer::read(request.send().await.unwrap()).await
}

fn ada() -> Value {
    json!({"email": "Ada@Example.org", "password": "x".repeat(12), "account_name": " Ada & Co "})
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_makes_an_account_where_sign_up_is_open() {
    // A10
    let server = Server::start(Backend::Sqlite).await;
    let answer = sign_up(&server, &ada()).await;
    insta::assert_json_snapshot!("signed_up", answer.expect(201), {
        ".user.id" => "[id]",
        ".account.id" => "[id]",
        ".user_id" => "[id]",
        ".account_id" => "[id]",
    });
    assert_eq!(
        answer.header("set-cookie"),
        None,
        "signing up signs nobody in"
    );
    let person = Person::sign_in(&server.url, "ada@example.org", &"x".repeat(12)).await;
    let session = person.get("/v1/auth/session").await.expect(200);
    assert_eq!(session["account"]["name"], "Ada & Co");
    assert_eq!(session["role"], "admin");
    person.namespace("team-ml").await;

    for email in ["ada@example.org", "ADA@EXAMPLE.ORG "] {
        let mut body = ada();
        body["email"] = email.into();
        let detail = sign_up(&server, &body).await.problem(409, "email_taken");
        assert_eq!(detail, "This e-mail is already in use");
    }

    // C1, C2
    for (member, value) in [
        ("email", json!("nobody")),
        ("email", json!("a@b@c")),
        ("email", json!(format!("{}@example.org", "a".repeat(250)))),
        ("email", Value::Null),
        ("password", json!("x".repeat(11))),
        ("password", json!("x".repeat(129))),
        ("account_name", json!("")),
        ("account_name", json!(" ")),
        ("account_name", json!("x".repeat(65))),
        ("account_name", json!("a\u{0}b")),
        ("role", json!("admin")),
    ] {
        let mut body = ada();
        body["email"] = "bob@example.org".into();
        body[member] = value;
        let answer = sign_up(&server, &body).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with(member), "{detail}");
        assert_eq!(answer.json()["errors"][0]["field"], member, "{answer:?}");
    }
    let all = json!({"email": "x", "password": "x", "account_name": ""});
    let answer = sign_up(&server, &all).await;
    answer.problem(400, "invalid_field");
    let fields = answer.json()["errors"].as_array().unwrap().clone();
    let fields: Vec<&str> = fields
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        ["email", "password", "account_name"],
        "C2: several fields are wrong"
    );

    // A9
    let url = format!("{}/v1/auth/sign-up", server.url);
    let foreign = client()
        .post(url)
        .header("origin", "https://evil.example")
        .json(&ada());
    Answer::read(foreign.send().await.unwrap())
        .await
        .problem(403, "csrf");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sign_up_is_closed_there_is_no_such_route() {
    // A10
    let options = ServerOptions::new(Backend::Sqlite).with("sign-up", "closed");
    let server = Server::start_with(options).await;
    let closed = sign_up(&server, &ada()).await;
    closed.problem(404, "not_found");
    let nowhere = client()
        .post(format!("{}/v1/auth/x", server.url))
        .json(&ada());
    let nowhere = Answer::read(nowhere.send().await.unwrap()).await;
    assert_eq!(closed.without_request_id(), nowhere.without_request_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_signs_up_a_hundred_times_a_minute_at_the_most() {
    // A8, A10
    let options = ServerOptions::new(Backend::Sqlite).with("password-workers", "2");
    let server = Server::start_with(options).await;
    let url = server.url.as_str();
    for chunk in 0..10 {
        let tries = (0..10).map(async |n| {
            let email = format!("user-{chunk}-{n}@example.org");
            let body = json!({"email": email, "password": "x".repeat(12), "account_name": "x"});
            let request = client().post(format!("{url}/v1/auth/sign-up")).json(&body);
            Answer::read(request.send().await.unwrap()).await
        });
        for answer in futures_util::future::join_all(tries).await {
            answer.expect(201);
        }
    }
    let answer = sign_up(&server, &ada()).await;
    answer.problem(429, "too_many_attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    // Signing in is counted apart.
    server.operator().await;
}
