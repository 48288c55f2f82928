//! `POST /v1/auth/sign-in`

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_PASSWORD, Answer, Backend, Person, Server, ServerOptions, client, in_millis, time_of,
};

const EMAIL: &str = "admin@localhost";

fn request(server: &Server) -> RequestBuilder {
    client().post(format!("{}/v1/auth/sign-in", server.url))
}

async fn send(request: RequestBuilder, body: &Value) -> Answer {
    Answer::read(request.json(body).send().await.unwrap()).await
}

/// Tries from an address that a trusted proxy names.
async fn try_from(server: &Server, address: &str, email: &str, password: &str) -> Answer {
    let request = request(server).header("x-forwarded-for", address);
    send(request, &json!({"email": email, "password": password})).await
}

#[track_caller]
fn is_throttled(answer: &Answer) {
    answer.problem(429, "too_many_attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_makes_a_new_session_each_time() {
    let server = Server::start(Backend::Sqlite).await;
    let body = json!({"email": EMAIL, "password": ADMIN_PASSWORD});

    // A6, A7, C3: a browser gets a cookie and nothing to keep elsewhere.
    let answer = send(request(&server), &body).await;
    let signed_in = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    insta::assert_json_snapshot!("signed_in", signed_in, {
        ".user.id" => "[id]",
        ".account.id" => "[id]",
        ".expires_at" => "[time]",
    });
    // Twelve hours, where nobody asks again.
    let minutes = time_of(&signed_in["expires_at"]) - time_of(&in_millis(0).into());
    assert!(
        (700..=720).contains(&minutes.whole_minutes()),
        "{signed_in}"
    );
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1);
    let cookie = cookies[0].to_str().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let secret = pair.strip_prefix("remotegpu_session=").unwrap();
    assert!(secret.starts_with("rgse_"), "{cookie}");
    let mut attributes: Vec<&str> = attributes.split("; ").collect();
    attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
    attributes.retain(|attribute| !attribute.starts_with("Expires="));
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax"]);
    let with_cookie = async |method: reqwest::Method, path: &str| {
        let request = client().request(method, format!("{}{path}", server.url));
        Answer::read(request.header("cookie", pair).send().await.unwrap()).await
    };
    let whoami = async || with_cookie(reqwest::Method::GET, "/v1/auth/session").await;
    let session = whoami().await.expect(200);
    for member in ["user", "account", "role"] {
        assert_eq!(session[member], signed_in[member]);
    }
    let signed_out = with_cookie(reqwest::Method::POST, "/v1/auth/sign-out").await;
    signed_out.expect(204);
    let cleared = signed_out.header("set-cookie").unwrap();
    assert!(cleared.starts_with("remotegpu_session=;"), "{cleared}");
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    whoami().await.problem(401, "invalid_access_token");

    // A6: a program gets a session token and no cookie.
    let mut for_program = body.clone();
    for_program["cookie"] = false.into();
    let answer = send(request(&server), &for_program).await;
    let token = answer.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        token.starts_with("rgse_") && token.len() >= 5 + 43,
        "A6: 256 bits: {token}"
    );
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut for_browser = body.clone();
    for_browser["cookie"] = true.into();
    let again = send(request(&server), &for_browser).await;
    assert_eq!(again.expect(200).get("access_token"), None);

    // A6: signing in always makes a new one, and the old ones go on.
    let second = Person::sign_in(&server.url, " Admin@LocalHost ", ADMIN_PASSWORD).await;
    assert_ne!(second.session_token, token);
    assert_ne!(secret, token);
    second.get("/v1/auth/session").await.expect(200);
    let request = client()
        .get(format!("{}/v1/auth/session", server.url))
        .bearer_auth(token);
    Answer::read(request.send().await.unwrap())
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_sign_in_tells_nothing_about_who_exists() {
    // A8
    let server = Server::start(Backend::Sqlite).await;
    let mut answers = Vec::new();
    for (email, password) in [
        (EMAIL, "not the password"),
        (EMAIL, ""),
        (EMAIL, &"x".repeat(10_000)),
        (EMAIL, &format!("{ADMIN_PASSWORD} ")),
        ("nobody@example.org", ADMIN_PASSWORD),
        ("no address", ADMIN_PASSWORD),
        ("", ""),
        ("a\u{0}@b", "\u{0}"),
    ] {
        let answer = send(
            request(&server),
            &json!({"email": email, "password": password}),
        )
        .await;
        assert_eq!(
            answer.problem(401, "wrong_credentials"),
            "Wrong e-mail or password"
        );
        assert_eq!(answer.header("set-cookie"), None);
        answers.push(answer.without_request_id());
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );

    // C1, C2: what is no request to sign in.
    let good = json!({"email": EMAIL, "password": ADMIN_PASSWORD});
    for (member, value) in [
        ("email", Value::Null),
        ("email", json!(1)),
        ("password", json!(["x"])),
        ("cookie", json!("false")),
        ("cookie", Value::Null),
        ("remember", json!(true)),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let answer = send(request(&server), &body).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with(member), "{detail}");
        assert_eq!(answer.json()["errors"][0]["field"], member);
        assert!(!answer.text.contains(ADMIN_PASSWORD), "K2");
    }
    for member in ["email", "password"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        let detail = send(request(&server), &body)
            .await
            .problem(400, "invalid_field");
        assert_eq!(detail, format!("{member} is required"));
    }
}

async fn failures_are_throttled(backend: Backend) {
    // A8, C8
    let options = ServerOptions::new(backend)
        .with("trusted-proxies", "127.0.0.1/32")
        .with("password-workers", "2");
    let server = Server::start_with(options).await;
    let bob = server.person("bob").await;
    let (here, there) = ("203.0.113.1", "203.0.113.2");
    for _ in 0..10 {
        let answer = try_from(&server, here, EMAIL, "not the password").await;
        answer.problem(401, "wrong_credentials");
    }
    is_throttled(&try_from(&server, here, EMAIL, ADMIN_PASSWORD).await);
    is_throttled(&try_from(&server, here, "ADMIN@localhost", "not the password").await);
    // Nobody at another address can lock a user out, nor one user another.
    try_from(&server, there, EMAIL, ADMIN_PASSWORD)
        .await
        .expect(200);
    try_from(&server, here, &bob.email, "password of bob")
        .await
        .expect(200);
    // What the client itself wrote in front of the proxy's word does not count.
    is_throttled(&try_from(&server, &format!("{there}, {here}"), EMAIL, ADMIN_PASSWORD).await);

    // A success clears the pair.
    for _ in 0..2 {
        for _ in 0..9 {
            let answer = try_from(&server, there, EMAIL, "not the password").await;
            answer.problem(401, "wrong_credentials");
        }
        try_from(&server, there, EMAIL, ADMIN_PASSWORD)
            .await
            .expect(200);
    }

    // Counted in the database: a restart forgives nothing.
    let mut server = server;
    server.restart().await;
    is_throttled(&try_from(&server, here, EMAIL, ADMIN_PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_throttled_on_sqlite() {
    failures_are_throttled(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_throttled_on_postgresql() {
    failures_are_throttled(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_fails_a_hundred_times_a_minute_at_the_most() {
    // A8: an IPv6 customer is a /64.
    let options = ServerOptions::new(Backend::Sqlite)
        .with("trusted-proxies", "127.0.0.1/32")
        .with("password-workers", "2");
    let server = Server::start_with(options).await;
    for chunk in 0..10 {
        let tries = (0..10).map(|n| {
            let address = format!("2001:db8:1:2::{n}");
            let email = format!("nobody-{chunk}-{n}@example.org");
            let server = &server;
            async move { try_from(server, &address, &email, "not the password").await }
        });
        for answer in futures_util::future::join_all(tries).await {
            answer.problem(401, "wrong_credentials");
        }
    }
    is_throttled(&try_from(&server, "2001:db8:1:2:ffff::1", EMAIL, ADMIN_PASSWORD).await);
    try_from(&server, "2001:db8:1:3::1", EMAIL, ADMIN_PASSWORD)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_header_of_nobody_we_trust_does_not_count() {
    // C8
    let server = Server::start(Backend::Sqlite).await;
    for n in 0..10 {
        let address = format!("203.0.113.{n}");
        let answer = try_from(&server, &address, EMAIL, "not the password").await;
        answer.problem(401, "wrong_credentials");
    }
    is_throttled(&try_from(&server, "203.0.113.99", EMAIL, ADMIN_PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_signs_nobody_in() {
    // A9
    let server = Server::start(Backend::Sqlite).await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let body = json!({"email": EMAIL, "password": ADMIN_PASSWORD});
    let sign_in = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(request(&server), |request, (name, value)| {
                request.header(*name, *value)
            });
        send(request, &body).await
    };
    let localhost = format!("http://localhost:{port}");
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "http://127.0.0.1")],
        &[("origin", "http://127.0.0.1:1")],
        // On loopback the page must come from the very host that it calls.
        &[("origin", localhost.as_str())],
        &[("origin", &format!("https://127.0.0.1:{port}"))],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[
            ("origin", server.url.as_str()),
            ("sec-fetch-site", "cross-site"),
        ],
    ] {
        let answer = sign_in(headers).await;
        answer.problem(403, "csrf");
        assert_eq!(answer.header("set-cookie"), None, "{headers:?}");
    }
    for headers in [
        &[("origin", server.url.as_str())][..],
        &[
            ("origin", server.url.as_str()),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("sec-fetch-site", "none")],
        &[
            ("origin", localhost.as_str()),
            ("host", &format!("localhost:{port}")),
        ],
    ] {
        sign_in(headers).await.expect(200);
    }
    // C5: before anything is asked about the body.
    let odd = request(&server)
        .header("origin", "null")
        .body("{")
        .send()
        .await
        .unwrap();
    Answer::read(odd).await.problem(403, "csrf");
}
