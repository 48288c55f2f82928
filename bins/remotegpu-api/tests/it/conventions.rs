//! What holds for every route (contract section 1).

mod bytes;

use std::time::Duration;

use remotegpu_test_support::postgres::TestPostgres;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, Operation, Person, Raw, Server, ServerOptions, Stopwatch, client, eventually,
    filled, operations,
};

const KEYS: &str = "/v1/account/api-keys";

async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}

/// Sends bytes on a connection of their own; the status and all of the answer.
fn raw(url: &str, bytes: impl AsRef<[u8]>) -> (u16, String) {
    let answer = Raw::connect(url).send(bytes).finish().rest();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no status: {answer:?}")),
        answer,
    )
}

fn host(server: &Server) -> &str {
    server.url.trim_start_matches("http://")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_name_and_every_error_is_a_problem_document() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    // C2
    let request = person
        .request(Method::POST, KEYS)
        .header("x-request-id", "Test_1.2-3");
    let answer = send(request.json(&json!({"name": "", "scopes": {"all": true}}))).await;
    answer.problem(400, "invalid_field");
    insta::assert_json_snapshot!("problem", answer.json());
    assert_eq!(answer.header("x-request-id"), Some("Test_1.2-3"));
    let body = json!({"name": "", "expires_at": "soon", "scopes": {"all": true}});
    let answer = person.post(KEYS, body).await;
    assert_eq!(
        answer.problem(400, "invalid_field"),
        "name must have 1 to 64 characters"
    );
    let errors = answer.json()["errors"].clone();
    let fields: Vec<&str> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "expires_at"]);

    // C3
    let longest = "x".repeat(128);
    for path in [
        "/livez",
        "/v1/auth/session",
        "/nowhere",
        "/v1/auth/sign-in",
        "/openapi.json",
    ] {
        let url = format!("{}{path}", server.url);
        for (id, echoed) in [
            ("a", true),
            (longest.as_str(), true),
            (&format!("{longest}x"), false),
            ("a b", false),
            ("a/b", false),
            ("<x>", false),
            ("", false),
        ] {
            let answer = send(client().get(&url).header("x-request-id", id)).await;
            let named = answer.header("x-request-id").unwrap();
            assert_eq!(named == id, echoed, "{path} {id}: {answer:?}");
            assert!(echoed || named.len() == 36, "{named}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
        }
        let (one, two) = (
            send(client().get(&url)).await,
            send(client().get(&url)).await,
        );
        assert_ne!(
            one.header("x-request-id").unwrap(),
            two.header("x-request-id").unwrap()
        );
    }
    // R4: the log tells what was asked under this name.
    assert!(server.log().contains("Test_1.2-3"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    // C5
    let server = Server::start(Backend::Sqlite).await;
    let operations = operations(&server).await;
    let id = "0198c0de-0000-7000-8000-000000000001";
    let mut paths: Vec<&String> = operations.iter().map(|known| &known.path).collect();
    paths.dedup();
    for path in paths {
        let of_path = operations.iter().filter(|known| known.path == *path);
        let methods: Vec<&Method> = of_path.map(|known| &known.method).collect();
        let url = format!("{}{}", server.url, filled(path, id));
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            let method: Method = method.parse().unwrap();
            if methods.contains(&&method) {
                continue;
            }
            // Before the credential and the body are looked at.
            let answer = send(client().request(method.clone(), &url).body("{")).await;
            answer.problem(405, "method_not_allowed");
            let mut allow: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
            let mut wanted: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
            if wanted.contains(&"GET") {
                wanted.push("HEAD");
            }
            allow.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(allow, wanted, "{method} {path}");
        }
    }
    let ask = |method: &str, path: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}", host(&server));
        raw(&server.url, head + "\r\nconnection: close\r\n\r\n")
    };
    for path in [
        "/v1",
        "/v1/",
        "/v2/auth/session",
        "/v1/auth",
        "/v1/auth/session/",
        "//v1/auth/session",
        "/V1/auth/session",
        "/v1//auth/session",
        "/v1/auth/../auth/session",
        "/v1/auth/%2e%2e/session",
        "/v1/auth/session%00",
        "/v1/%FF",
        "/v1/auth/session;x=1",
        "/metrics",
        "/v1/account/api-keys/",
        "/v1/account/api-keys//revoke",
        "/v1/auth%2Fsession",
        "/v1/kubernetes/namespaces/a/b/c",
        "/webhooks/mutate",
        "/.env",
        "/index.html",
        "/v1/inference/nonsense",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let (status, answer) = ask(method, path);
            assert_eq!(status, 404, "{method} {path}: {answer}");
            assert!(answer.contains("\"code\":\"not_found\""), "{answer}");
            assert!(answer.contains("\"There is nothing here\""), "{answer}");
        }
    }
    // What the document does not describe.
    for path in ["/docs/nothing.js", "/docs/..%2F..%2Fetc%2Fpasswd"] {
        let (status, answer) = ask("GET", path);
        assert_eq!(status, 404, "{path}: {answer}");
    }
    let (status, answer) = ask("BREW", "/docs");
    assert_eq!(status, 405, "{answer}");
    assert!(answer.contains("\r\nallow: GET, HEAD\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_what_get_would_without_the_body() {
    // C5, A9
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    for path in [
        "/livez",
        "/readyz",
        "/openapi.json",
        "/docs/",
        "/v1/auth/session",
        KEYS,
    ] {
        let get = person.get(path).await;
        let head = send(person.request(Method::HEAD, path)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "");
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        assert!(head.header("x-request-id").is_some());
    }
    for (path, status) in [
        ("/nowhere", 404),
        ("/v1/auth/sign-in", 405),
        ("/v1/auth/password", 405),
    ] {
        let head = send(person.request(Method::HEAD, path)).await;
        assert_eq!(
            (head.status.as_u16(), head.text.as_str()),
            (status, ""),
            "{path}"
        );
    }
    let head = send(client().head(format!("{}{KEYS}", server.url))).await;
    assert_eq!(head.status, 401);
    // Two on one connection: no body stands between them.
    let request = format!("HEAD {KEYS} HTTP/1.1\r\nhost: {}\r\n\r\n", host(&server));
    let last = format!(
        "GET /livez HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        host(&server)
    );
    let both = Raw::connect(&server.url).send(request + &last).rest();
    assert!(both.starts_with("HTTP/1.1 401 "), "{both}");
    let (_, second) = both.split_once("\r\n\r\n").unwrap();
    assert!(second.starts_with("HTTP/1.1 200 "), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_in_utf_8_of_64_kib_at_the_most() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let post = || person.request(Method::POST, KEYS);
    let good = json!({"name": "x", "scopes": {"all": true}}).to_string();
    let typed = |content_type: &str, body: &str| {
        send(
            post()
                .header("content-type", content_type)
                .body(body.to_owned()),
        )
    };
    // C1
    for content_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        typed(content_type, &good).await.expect(201);
    }
    // C5: 415
    for content_type in [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/yaml",
        "application/merge-patch+json",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "json",
    ] {
        typed(content_type, &good)
            .await
            .problem(415, "unsupported_media_type");
    }
    send(post().body(good.clone()))
        .await
        .problem(415, "unsupported_media_type");
    for encoding in ["gzip", "br", "nonsense"] {
        let request = post().header("content-type", "application/json");
        let answer = send(
            request
                .header("content-encoding", encoding)
                .body(good.clone()),
        )
        .await;
        answer.problem(415, "unsupported_media_type");
    }
    // C1: an absent or empty body needs no content type and reads as {}.
    for request in [
        post(),
        post().body(""),
        post().header("content-type", "text/plain").body(""),
    ] {
        assert_eq!(
            send(request).await.problem(400, "invalid_field"),
            "name is required"
        );
    }
    // C5: 400
    let json_typed =
        |body: Vec<u8>| send(post().header("content-type", "application/json").body(body));
    let with = |head: &[u8], tail: &[u8]| [head, good.as_bytes(), tail].concat();
    for body in [
        with(b"\xEF\xBB\xBF", b""),
        with(b"", b"x"),
        with(b"", good.as_bytes()),
        with(b"[", b"]"),
        b"null".to_vec(),
        b"\"\"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"{\"name\":\"\xFF\"}".to_vec(),
        "{\"name\":\"x\",\"scopes\":{\"all\":true}}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
        "[".repeat(60_000).into_bytes(),
        "{\"a\":".repeat(10_000).into_bytes(),
        format!(r#"{{"name":"x","scopes":{}}}"#, "[".repeat(30_000)).into_bytes(),
        b"{'name':'x'}".to_vec(),
        b"{\"name\":NaN}".to_vec(),
        b"\0".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = json_typed(body).await;
        answer.problem(400, "invalid_body");
        assert!(
            answer
                .json()
                .get("errors")
                .is_none_or(|errors| errors == &json!([])),
            "{shown}"
        );
    }
    for (body, detail) in [
        (r#"{"name":"\ud800","scopes":{"all":true}}"#, "name "),
        (r#"{"name":"x","scopes":{"all":true},"":1}"#, ""),
        (
            r#"{"name":"x","n\u0061me":"y","scopes":{"all":true}}"#,
            "name stands more than once",
        ),
    ] {
        let found = json_typed(body.as_bytes().to_vec())
            .await
            .problem(400, "invalid_field");
        assert!(found.starts_with(detail), "{found}");
    }

    // C5: 413, by its own header before all else, and by what arrives.
    let fits = format!("{good}{}", " ".repeat(65_536 - good.len()));
    json_typed(fits.clone().into_bytes()).await.expect(201);
    let line = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: {}\r\n", host(&server));
    let token = format!("authorization: Bearer {}\r\n", person.session_token);
    for path in [KEYS, "/v1/auth/sign-in"] {
        let head = format!("{}{token}content-type: text/plain\r\n", line(path));
        let declared = format!("{head}content-length: 65537\r\n\r\n");
        let (status, answer) = raw(&server.url, declared);
        assert_eq!(status, 413, "{answer}");
        assert!(answer.contains("\"code\":\"body_too_large\""), "{answer}");
        let chunk = "x".repeat(65_537);
        let chunked =
            format!("{head}transfer-encoding: chunked\r\n\r\n10001\r\n{chunk}\r\n0\r\n\r\n");
        let (status, answer) = raw(&server.url, chunked);
        assert_eq!(status, 413, "{answer}");
    }
    let chunked = format!(
        "{}{token}content-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{fits}\r\n0\r\n\r\n",
        line(KEYS),
        fits.len()
    );
    assert_eq!(raw(&server.url, chunked).0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_come_in_the_order_of_the_contract() {
    // C5: a request with everything wrong; each answer is the next in order.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    let key = person.key(json!({"all": true})).await;
    let path = format!("/v1/account/api-keys/{}", key.id());
    let revoke = format!("{path}/revoke");
    person.post(&revoke, json!({})).await.expect(200);
    let unknown = "/v1/account/api-keys/unknown";
    let cookie = |person: &Person| format!("remotegpu_session={}", person.session_token);
    let (own, readers) = (cookie(&person), cookie(&reader));
    let request = |method: &str, path: &str, headers: &[(&str, &str)], body: &'static str| {
        let url = format!("{}{path}", server.url);
        let request = client().request(method.parse().unwrap(), url);
        let all = headers
            .iter()
            .fold(request, |all, (name, value)| all.header(*name, *value));
        send(all.body(body))
    };
    let evil = ("origin", "https://evil.example");
    let foreign = ("host", "evil.example");
    let dead = ("cookie", "remotegpu_session=x");
    let json_type = ("content-type", "application/json");
    for (method, path, headers, body, status, code) in [
        (
            "PUT",
            "/nowhere",
            &[foreign, evil, dead][..],
            "{",
            421,
            "misdirected",
        ),
        ("PUT", "/nowhere", &[evil, dead], "{", 404, "not_found"),
        (
            "PUT",
            unknown,
            &[evil, dead],
            "{",
            405,
            "method_not_allowed",
        ),
        ("PATCH", unknown, &[evil, dead], "{", 403, "csrf"),
        ("PATCH", unknown, &[dead], "{", 401, "invalid_access_token"),
        (
            "PATCH",
            unknown,
            &[("cookie", &readers)],
            "{",
            403,
            "role_too_small",
        ),
        (
            "PATCH",
            unknown,
            &[("cookie", &own)],
            "{",
            404,
            "api_key_not_found",
        ),
        (
            "PATCH",
            &path,
            &[("cookie", &own)],
            "{",
            415,
            "unsupported_media_type",
        ),
        (
            "PATCH",
            &path,
            &[("cookie", &own), json_type],
            "{",
            400,
            "invalid_body",
        ),
        (
            "PATCH",
            &path,
            &[("cookie", &own), json_type],
            "{\"a\":1}",
            400,
            "invalid_field",
        ),
        (
            "PATCH",
            &path,
            &[("cookie", &own), json_type],
            "{\"name\":\"x\"}",
            409,
            "key_not_active",
        ),
        // The query of a list is part of what comes in, after the credential.
        (
            "GET",
            "/v1/account/api-keys?limit=0",
            &[dead],
            "",
            401,
            "invalid_access_token",
        ),
        (
            "GET",
            "/v1/account/api-keys?limit=0",
            &[("cookie", &own)],
            "",
            400,
            "invalid_field",
        ),
    ] {
        let answer = request(method, path, headers, body).await;
        answer.problem(status, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_listener_answers_to_its_own_hosts_alone() {
    // C8
    let options = ServerOptions::new(Backend::Sqlite).with(
        "extra-hosts",
        "api.example.org,[::1]:99,Other.Example:81,BÜCHER.example,xn--mnchen-3ya.example:83",
    );
    let server = Server::start_with(options).await;
    let port = host(&server).rsplit_once(':').unwrap().1;
    let ask = |path: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts
            .iter()
            .map(|host| format!("host: {host}\r\n"))
            .collect();
        let hosts = hosts.concat();
        raw(
            &server.url,
            format!("GET {path} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n"),
        )
    };
    for good in [
        &format!("127.0.0.1:{port}"),
        &format!("localhost:{port}"),
        &format!("LOCALHOST:{port}"),
        &format!("[::1]:{port}"),
        "api.example.org",
        "API.example.org:8443",
        "[::1]:99",
        "other.example:81",
        // International names, in either spelling.
        "xn--bcher-kva.example",
        "XN--bcher-kva.example:8443",
        "bücher.example",
        "xn--mnchen-3ya.example:83",
        "München.example:83",
    ] {
        let (status, answer) = ask("/v1/auth/session", &[good]);
        assert_eq!(status, 401, "{good}: {answer}");
    }
    for bad in [
        "evil.example",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.0.0.2",
        "other.example",
        "other.example:82",
        "api.example.org.evil.example",
        "evil@api.example.org",
        "",
        "a b",
        "[::1",
        "api.example.org:x",
        "xn--bcher-kvb.example",
        "bücher.example.evil.example",
        "xn--mnchen-3ya.example",
        "b%C3%BCcher.example",
    ] {
        let (status, answer) = ask("/v1/auth/session", &[bad]);
        // What can be no host at all may already be no HTTP.
        assert!(
            status == 421 || status == 400 && bad.contains([' ', '[', '@']),
            "{bad}: {answer}"
        );
        if status == 421 {
            assert!(answer.contains("\"code\":\"misdirected\""), "{answer}");
        }
        for probe in ["/livez", "/readyz"] {
            let (status, answer) = ask(probe, &[bad]);
            assert!(status == 200 || status == 400, "{bad} {probe}: {answer}");
        }
    }
    // None and two are no better than a wrong one.
    let own = host(&server);
    for hosts in [&[][..], &[own, "evil.example"], &["evil.example", own]] {
        let (status, answer) = ask("/v1/auth/session", hosts);
        assert!(matches!(status, 400 | 421), "{hosts:?}: {answer}");
    }
    // A target that names a host counts too.
    let absolute = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n\r\n");
        raw(&server.url, request).0
    };
    assert_eq!(absolute("http://evil.example/v1/auth/session"), 421);
    for name in ["127.0.0.1", "localhost"] {
        let target = format!("http://{name}:{port}/v1/auth/session");
        assert_eq!(absolute(&target), 401);
    }
    // What somebody says in front of us that we do not trust counts for nothing.
    let forwarded = format!("evil.example\r\nx-forwarded-host: {own}");
    assert_eq!(ask("/v1/auth/session", &[&forwarded]).0, 421);
    // The internal listener does not check.
    let inside = client().get(format!("{}/metrics", server.internal_url));
    let metrics = send(inside.header("host", "evil.example")).await;
    assert_eq!(metrics.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_listeners_have_routes_of_their_own() {
    // R4
    let server = Server::start(Backend::Sqlite).await;
    let get = async |base: &str, path: &str| send(client().get(format!("{base}{path}"))).await;
    for path in ["/livez", "/readyz"] {
        for base in [&server.url, &server.internal_url] {
            get(base, path).await.expect(200);
        }
    }
    let document = get(&server.url, "/openapi.json").await.expect(200);
    assert!(document["paths"].get("/v1/account/api-keys").is_some());
    let page = get(&server.url, "/docs/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    get(&server.url, "/metrics").await.problem(404, "not_found");
    for path in ["/v1/auth/session", "/openapi.json", "/docs/"] {
        get(&server.internal_url, path)
            .await
            .problem(404, "not_found");
    }
    let metrics = get(&server.internal_url, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text.contains("/openapi.json"), "{}", metrics.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_503_until_it_is_back() {
    // C7, R4
    let mut postgres = TestPostgres::private().unwrap();
    let database = postgres.create_database().unwrap();
    let options = ServerOptions::new(Backend::Sqlite).with("database-url", database.url());
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    // R2: without clusters no namespace is made.
    let made = person
        .post("/v1/kubernetes/namespaces", json!({"name": "x"}))
        .await;
    made.problem(400, "cluster_unknown");
    postgres.kill().unwrap();
    let sign_in = json!({"email": "admin@localhost", "password": "x"});
    let asked = Stopwatch::start();
    let sign_in = client()
        .post(format!("{}/v1/auth/sign-in", server.url))
        .json(&sign_in);
    let ready = client().get(format!("{}/readyz", server.url));
    let made = json!({"name": "x", "scopes": {"all": true}});
    // R4: what was found a moment before holds for that moment.
    let unready = async {
        let ready = async || send(ready.try_clone().unwrap()).await;
        let soon = Duration::from_secs(3);
        eventually("unready", soon, async || ready().await.status != 200).await;
        ready().await
    };
    let (session, made, key_answer, sign_in, ready) = tokio::join!(
        person.get("/v1/auth/session"),
        person.post(KEYS, made),
        key.get("/v1/auth/key"),
        send(sign_in),
        unready,
    );
    assert!(
        !asked.is_over(Duration::from_secs(5)),
        "{:?}",
        asked.elapsed()
    );
    let answers = [session, made, key_answer, sign_in, ready];
    for answer in answers {
        answer.problem(503, "database_unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    send(client().get(format!("{}/livez", server.url)))
        .await
        .expect(200);
    // A4: a malformed key is refused without a query; C5: and so is no key.
    let malformed = client().get(format!("{}/v1/auth/key", server.url));
    send(malformed.header("x-api-key", "rgpu_x"))
        .await
        .problem(401, "invalid_api_key");
    send(client().get(format!("{}{KEYS}", server.url)))
        .await
        .problem(401, "missing_access_token");
    postgres.start().unwrap();
    eventually(
        "the database is back",
        Duration::from_secs(20),
        async || {
            send(client().get(format!("{}/readyz", server.url)))
                .await
                .status
                .is_success()
        },
    )
    .await;
    person.get("/v1/auth/session").await.expect(200);
    key.get("/v1/auth/key").await.expect(200);
    let page: Value = person.get(KEYS).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}
