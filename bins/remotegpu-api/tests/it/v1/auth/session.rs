//! `GET /v1/auth/session`, `POST /v1/auth/sign-out`

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::{
    Answer, Backend, Server, ServerOptions, Stopwatch, client, eventually, in_millis, time_of,
};

async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_says_who_is_signed_in_until_it_signs_out() {
    let server = Server::start(Backend::Sqlite).await;
    let (person, other) = (server.operator().await, server.operator().await);
    // A6
    let answer = person.get("/v1/auth/session").await;
    insta::assert_json_snapshot!("session", answer.expect(200), {
        ".user.id" => "[id]",
        ".account.id" => "[id]",
        ".accounts[].id" => "[id]",
        ".expires_at" => "[time]",
    });
    let signed_out = person.request(reqwest::Method::POST, "/v1/auth/sign-out");
    let signed_out = send(signed_out).await;
    signed_out.expect(204);
    assert_eq!(signed_out.text, "");
    for path in ["/v1/auth/session", "/v1/account/api-keys"] {
        let answer = person.get(path).await;
        assert_eq!(
            answer.problem(401, "invalid_access_token"),
            "Invalid access token"
        );
    }
    let again = person.post("/v1/auth/sign-out", json!({})).await;
    again.problem(401, "invalid_access_token");
    other.get("/v1/auth/session").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_acts_for_accounts_of_its_user_only() {
    // A11, C6
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let switch = async |id: &str| {
        let body = json!({"account_id": id});
        ada.post("/v1/auth/session/account", body).await
    };
    let own = switch(&ada.account_id().await).await.expect(200);
    assert_eq!(own["account"]["name"], "ada");
    let foreign = switch(&bob.account_id().await).await;
    foreign.problem(404, "not_found");
    for id in ["0198c0de-0000-7000-8000-000000000001", "x"] {
        let unknown = switch(id).await.without_request_id();
        assert_eq!(unknown, foreign.without_request_id(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_living_session_opens() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    let token = person.session_token.as_str();
    let get = |headers: &[(&str, String)]| {
        let request = client().get(format!("{}/v1/account/api-keys", server.url));
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        })
    };
    // A1 [S], A3: an API key opens no session route, wherever it stands.
    for headers in [
        &[][..],
        &[("x-api-key", key.key.clone())],
        &[("authorization", format!("Bearer {}", key.key))],
        &[("authorization", format!("Basic {token}"))],
        &[("cookie", format!("session={token}"))],
        &[("x-access-token", token.to_owned())],
    ] {
        let answer = send(get(headers)).await;
        assert_eq!(
            answer.problem(401, "missing_access_token"),
            "Missing access token"
        );
        assert!(
            answer.header("www-authenticate").is_some(),
            "RFC 9110, 11.6.1"
        );
    }
    let in_query = get(&[]).query(&[("access_token", token)]);
    send(in_query).await.problem(401, "missing_access_token");
    // A1: a dead or unknown one, and A3: two.
    let unknown = format!("rgse_{}", "a".repeat(token.len() - 5));
    let cookie = format!("remotegpu_session={token}");
    for headers in [
        &[("authorization", "Bearer nonsense".to_owned())][..],
        &[("authorization", format!("Bearer {unknown}"))],
        &[("authorization", format!("Bearer {token}x"))],
        &[("cookie", "remotegpu_session=".to_owned())],
        &[("cookie", format!("remotegpu_session={unknown}"))],
        &[("cookie", format!("{cookie}; {cookie}"))],
        &[("cookie", cookie.clone()), ("cookie", cookie.clone())],
        &[
            ("cookie", cookie.clone()),
            ("authorization", format!("Bearer {token}")),
        ],
    ] {
        let answer = send(get(headers)).await;
        let detail = answer.problem(401, "invalid_access_token");
        assert_eq!(detail, "Invalid access token", "{headers:?}");
    }
    for headers in [
        &[("authorization", format!("Bearer {token}"))][..],
        &[("authorization", format!("bearer {token}"))],
        &[("cookie", cookie.clone())],
        &[("cookie", format!("theme=dark; {cookie}; a=b"))],
        &[
            ("authorization", format!("Bearer {token}")),
            ("x-api-key", key.key.clone()),
        ],
    ] {
        send(get(headers)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_changes_nothing_with_a_visitor_s_cookie() {
    // A9
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let cookie = format!("remotegpu_session={}", person.session_token);
    let path = format!("{}/v1/account/api-keys", server.url);
    let body = json!({"name": "x", "scopes": {"all": true}});
    let with_cookie = || client().post(&path).header("cookie", &cookie).json(&body);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        send(with_cookie().header(name, value))
            .await
            .problem(403, "csrf");
        // C5: before it is asked whose cookie that is, or what is in the body.
        let dead = client()
            .post(&path)
            .header("cookie", "remotegpu_session=x")
            .body("{");
        send(dead.header(name, value)).await.problem(403, "csrf");
        for method in ["sign-out", "password"] {
            let url = format!("{}/v1/auth/{method}", server.url);
            let method = if method == "password" { "PUT" } else { "POST" };
            let request = client().request(method.parse().unwrap(), url);
            let request = request.header("cookie", &cookie).header(name, value);
            send(request).await.problem(403, "csrf");
        }
        // Reading changes nothing, and a session token is never sent by itself.
        send(
            client()
                .get(&path)
                .header("cookie", &cookie)
                .header(name, value),
        )
        .await
        .expect(200);
        let token = client()
            .post(&path)
            .bearer_auth(&person.session_token)
            .json(&body);
        send(token.header(name, value)).await.expect(201);
    }
    send(with_cookie()).await.expect(201);
    send(with_cookie().header("origin", &server.url))
        .await
        .expect(201);
}

async fn sessions_end_by(setting: &'static str) {
    let options = ServerOptions::new(Backend::Sqlite).with(setting, "2");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    person.get("/v1/auth/session").await.expect(200);
    eventually(setting, Duration::from_secs(5), async || {
        !person.get("/v1/auth/session").await.status.is_success()
    })
    .await;
    let answer = person.get("/v1/auth/session").await;
    answer.problem(401, "invalid_access_token");
    // Nobody is locked out by it.
    server
        .operator()
        .await
        .get("/v1/auth/session")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_the_clock() {
    // A6
    tokio::join!(
        sessions_end_by("session-idle-seconds"),
        sessions_end_by("session-total-seconds"),
    );
}

/// Has the sessions been used last two minutes ago, so that the next use is noted.
fn age_sessions(server: &Server) {
    if let Some(database) = &server.database {
        let older = "UPDATE sessions SET last_seen_at = last_seen_at - interval '2 minutes'";
        database.query(older).unwrap();
    } else {
        let aged = "c.execute('UPDATE sessions SET last_seen_at = last_seen_at - 120000000')";
        let mut by = by_hand(server, &format!("{aged}; c.commit()"));
        drop(by.stdin.take());
        assert!(by.wait().unwrap().success());
    }
}

/// What a program does to the server's SQLite file, beside the running server. It goes
/// on until its input ends, which this waits for no longer than until it says something.
fn by_hand(server: &Server, act: &str) -> Child {
    let python = std::env::var("REMOTEGPU_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let file = server.path("data/remotegpu.db");
    let script = format!(
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=10)\n{act}\n\
         print('done', flush=True)\nsys.stdin.read()"
    );
    let mut child = Command::new(python)
        .args(["-c", &script])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "done");
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_counts_on_a_standby_that_cannot_be_written_to() {
    // A6
    let server = Server::start(Backend::Postgres).await;
    let person = server.operator().await;
    age_sessions(&server);
    let database = server.database.as_ref().unwrap();
    database
        .query(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
             current_database()); END $$",
        )
        .unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.query(others).unwrap();
    for _ in 0..3 {
        let session = person.get("/v1/auth/session").await.expect(200);
        assert_eq!(session["user"]["email"], "admin@localhost");
        person.get("/v1/account/api-keys").await.expect(200);
    }
    // What does write says so.
    let named = json!({"name": "x", "scopes": {"all": true}});
    person
        .post("/v1/account/api-keys", named)
        .await
        .problem(503, "database_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_counts_while_somebody_else_writes() {
    // A6
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    age_sessions(&server);
    let mut writer = by_hand(&server, "c.execute('BEGIN IMMEDIATE')");
    for _ in 0..3 {
        let began = Stopwatch::start();
        person.get("/v1/auth/session").await.expect(200);
        let took = began.elapsed();
        assert!(took < Duration::from_millis(1500), "{took:?}");
    }
    drop(writer.stdin.take());
    writer.wait().unwrap();
    // And it is noted as soon as it can be.
    let before = person.get("/v1/auth/session").await.expect(200);
    eventually("the use is noted", Duration::from_secs(10), async || {
        let now = person.get("/v1/auth/session").await.expect(200);
        time_of(&now["expires_at"]) > time_of(&before["expires_at"])
            || time_of(&now["expires_at"]) - time_of(&in_millis(0).into())
                > time::Duration::minutes(719)
    })
    .await;
}
