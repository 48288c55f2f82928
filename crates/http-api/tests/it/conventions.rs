//! What holds for every route (contract sections 1 and 2).

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::{
    client::{Request, exchange, parse},
    world::{World, refusal, text},
};

const KEYS: &str = "/v1/account/api-keys";

/// Method and path of every route that takes this credential, as the document says.
fn routes_with(scheme: &str) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&remotegpu_http_api::openapi_json()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let ways = operation["security"].as_array();
            let takes = ways.is_some_and(|ways| ways.iter().any(|way| way.get(scheme).is_some()));
            if takes {
                let parts = path.split('/');
                let filled = parts.map(|part| if part.starts_with('{') { "x" } else { part });
                let filled: Vec<&str> = filled.collect();
                routes.push((method.to_uppercase(), filled.join("/")));
            }
        }
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_who_is_calling() {
    // A1, A2, A3, A4
    let world = World::new().await;
    let session = world.person("ada").await;
    let made = world.key(&session, json!({"all": true})).await;
    let key = text(&made, "key");
    let unknown = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
    let (session_routes, key_routes) = (routes_with("access_token"), routes_with("api_key"));
    assert!(session_routes.len() >= 15 && key_routes.len() >= 2);
    for (method, path) in &session_routes {
        let ask = || world.request(method, path);
        let missing = refusal(401, "missing_access_token", "Missing access token");
        let invalid = refusal(401, "invalid_access_token", "Invalid access token");
        assert_eq!(ask().send().await.problem(), missing, "{method} {path}");
        assert_eq!(ask().bearer(&key).send().await.problem(), missing);
        assert_eq!(ask().key(&key).send().await.problem(), missing);
        assert_eq!(ask().bearer("rgse_x").send().await.problem(), invalid);
        let cookie = format!("remotegpu_session={session}");
        let twice = ask().bearer(&session).header("cookie", cookie);
        assert_eq!(twice.send().await.problem(), invalid);
    }
    for (method, path) in &key_routes {
        let ask = || world.request(method, path);
        let missing = refusal(401, "missing_api_key", "Missing API key");
        let invalid = refusal(401, "invalid_api_key", "Invalid API key");
        assert_eq!(ask().send().await.problem(), missing, "{method} {path}");
        assert_eq!(ask().bearer(&session).send().await.problem(), missing);
        assert_eq!(
            ask().key(unknown).bearer(&key).send().await.problem(),
            invalid
        );
        assert_eq!(ask().key(&key).key(&key).send().await.problem(), invalid);
        let malformed = ask().key("rgpu_x").send().await;
        let unknown = ask().key(unknown).send().await;
        assert_eq!(malformed.comparable(), unknown.comparable());
        assert_eq!(
            unknown.header("www-authenticate"),
            Some("Bearer realm=\"remotegpu\"")
        );
    }
    let query = world.get(&format!("/v1/auth/key?x-api-key={key}"));
    assert_eq!(query.send().await.status, 401);
    let both = world.get("/v1/auth/key").key(&key).bearer(&key);
    assert_eq!(both.send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_then_a_method_then_the_caller_is_asked() {
    // C5
    let world = World::new().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/auth/session",
        "/v1/auth/session/",
        "//v1/auth/session",
        "/v1//auth/session",
        "/v1/auth/%2e%2e/session",
        "/v1/auth/session%00",
        "/v1/%FF",
        "/v1/account/api-keys/",
        "/v1/account/api-keys/a%2Fb",
        "/docs/nothing.js",
        "/docs/..%2F..%2Fetc%2Fpasswd",
        "/metrics",
        "*",
    ] {
        let wanted = refusal(404, "not_found", "There is nothing here");
        let answer = world.request("OPTIONS", path).send().await;
        if !path.starts_with("/docs/") && !path.ends_with("a%2Fb") {
            assert_eq!(answer.problem(), wanted, "{path}");
        }
        assert!(matches!(answer.status, 404 | 405), "{path} {answer:?}");
    }
    for (method, path, allow) in [
        ("DELETE", KEYS, "GET, HEAD, POST"),
        ("GET", "/v1/account/api-keys/x", "PATCH"),
        ("PUT", "/v1/kubernetes/namespaces/x", "DELETE, PATCH"),
        ("POST", "/livez", "GET, HEAD"),
        ("OPTIONS", "/v1/auth/sign-in", "POST"),
        ("BREW", "/docs", "GET, HEAD"),
    ] {
        let answer = world.request(method, path).send().await;
        assert_eq!(answer.problem().1, "method_not_allowed", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    let elsewhere = world.request("DELETE", KEYS).header("host", "evil.org");
    assert_eq!(elsewhere.send().await.problem().1, "misdirected");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_misdirected() {
    // C8
    let world = World::with(|config| {
        config.edge.extra_hosts = vec![remotegpu_edge::ExtraHost::parse("api.internal").unwrap()];
    })
    .await;
    let port = world.address.port();
    let code = async |request: Request| request.send().await.status;
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        let host = format!("{host}:{port}");
        assert_eq!(
            code(world.get("/openapi.json").header("host", host)).await,
            200
        );
    }
    assert_eq!(
        code(world.get("/openapi.json").header("host", "api.internal:1")).await,
        200
    );
    for host in [
        "",
        "localhost",
        "evil.org",
        "localhost:1",
        "localhost:x",
        "a b",
        "\u{fc}",
    ] {
        let status = code(world.get("/openapi.json").header("host", host)).await;
        assert!(matches!(status, 421 | 400), "{host} {status}");
        assert_eq!(
            code(world.get("/livez").header("host", "evil.org")).await,
            200
        );
    }
    let forwarded = world.get("/openapi.json").header("host", "evil.org");
    let forwarded = forwarded.header("x-forwarded-host", format!("localhost:{port}"));
    assert_eq!(code(forwarded).await, 421);
    let absolute = world.get(&format!("http://evil.org:{port}/openapi.json"));
    assert_eq!(code(absolute).await, 421);
    let absolute = world.get(&format!("http://localhost:{port}/openapi.json"));
    assert_eq!(code(absolute).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id_and_closed_headers() {
    // C3
    let world = World::new().await;
    let token = world.person("ada").await;
    for (path, echoed) in [
        ("/livez", "a-1"),
        ("/nothing", "b_2"),
        ("/v1/auth/session", "c.3"),
    ] {
        let answer = world.get(path).header("x-request-id", echoed).send().await;
        assert_eq!(answer.header("x-request-id"), Some(echoed));
        let answer = world.get(path).header("x-request-id", "a b").send().await;
        assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    let made = world.key(&token, json!({"all": true})).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_last_and_in_order() {
    // C1, C5
    let world = World::new().await;
    let token = world.person("ada").await;
    let unknown = "/v1/account/api-keys/0198c0de-0000-7000-8000-000000000001";
    let patch = |path: &str| world.request("PATCH", path).bearer(&token);
    for path in [unknown, "/v1/account/api-keys/nonsense"] {
        let answer = patch(path).body("nonsense").send().await;
        assert_eq!(
            answer.problem(),
            refusal(404, "api_key_not_found", "API key not found")
        );
    }
    let create = || world.post(KEYS).bearer(&token);
    let code = async |request: Request| request.send().await.problem().1;
    assert_eq!(code(create().body("{}")).await, "unsupported_media_type");
    let zipped = create().header("content-encoding", "gzip").json("{}");
    assert_eq!(code(zipped).await, "unsupported_media_type");
    let charset = create().header("content-type", "application/json; charset=utf-16");
    assert_eq!(code(charset.body("{}")).await, "unsupported_media_type");
    assert_eq!(code(create().json("\u{feff}{}")).await, "invalid_body");
    assert_eq!(code(create().json("{}x")).await, "invalid_body");
    assert_eq!(code(create().json("[]")).await, "invalid_body");
    let empty = create().send().await;
    assert_eq!(
        empty.problem(),
        refusal(400, "invalid_field", "name is required")
    );
    assert_eq!(empty.json()["errors"][0]["field"], "name");
    let doubled = create()
        .json(r#"{"name":"a","scopes":{"all":true},"name":"b"}"#)
        .send()
        .await;
    assert_eq!(doubled.problem().2, "name stands more than once");
    let wrong = create()
        .json(r#"{"name":7,"scopes":{"all":true}}"#)
        .send()
        .await;
    assert_eq!(wrong.problem().2, "name must be a string");
    let several = json!({"name": " ", "scopes": {"all": true}, "expires_at": "soon"});
    let several = create().json(several).send().await;
    assert_eq!(several.problem().2, "Several fields are wrong");
    assert_eq!(several.json()["errors"][1]["field"], "expires_at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_by_its_header_or_its_bytes() {
    // C5
    let world = World::new().await;
    let token = world.person("ada").await;
    let long = world.post(KEYS).json(" ".repeat(70_000)).send().await;
    assert_eq!(long.problem().1, "body_too_large");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        world.address
    );
    let message = format!("{head}{chunk}1\r\n \r\n0\r\n\r\n");
    let address = world.address;
    let raw = tokio::task::spawn_blocking(move || exchange(address, message.as_bytes()));
    assert_eq!(
        parse(&raw.await.unwrap(), "POST").problem().1,
        "body_too_large"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_on_after_a_body_that_nobody_read() {
    // C1, C5
    let world = World::new().await;
    let refused = world
        .post(KEYS)
        .json(json!({"name": "x".repeat(30_000)}))
        .bytes();
    let next = world.get("/livez").header("connection", "close").bytes();
    let address = world.address;
    let answered = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&refused).unwrap();
        let mut first = vec![0; 16 * 1024];
        let read = stream.read(&mut first).unwrap();
        let first = String::from_utf8_lossy(&first[..read]).into_owned();
        if first.to_ascii_lowercase().contains("connection: close") {
            // Closing is the other honest way: the next request is not mixed up.
            return (first, exchange(address, &next));
        }
        stream.write_all(&next).unwrap();
        let mut second = Vec::new();
        stream.read_to_end(&mut second).unwrap();
        (first, second)
    });
    let (first, second) = answered.await.unwrap();
    assert!(first.starts_with("HTTP/1.1 401"), "{first}");
    assert_eq!(parse(&second, "GET").json(), json!({"status": "ok"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_cannot_act() {
    // A9, C5
    let world = World::new().await;
    let token = world.person("ada").await;
    let cookie = format!("remotegpu_session={token}");
    let act = || world.post(KEYS).header("cookie", &cookie).json("{}");
    let own = format!("http://{}", world.address);
    assert_eq!(act().header("origin", &own).send().await.status, 400);
    assert_eq!(act().send().await.status, 400);
    for origin in ["null", "https://evil.org", "http://localhost:1"] {
        let answer = act().header("origin", origin).send().await;
        assert_eq!(answer.problem().1, "csrf", "{origin}");
    }
    let same_site = act().header("sec-fetch-site", "same-site").send().await;
    assert_eq!(same_site.problem().1, "csrf");
    let sign_in = world
        .post("/v1/auth/sign-in")
        .header("origin", "null")
        .json("{}");
    assert_eq!(sign_in.send().await.problem().1, "csrf");
    let unknown = world.post("/v1/nothing").header("cookie", &cookie);
    assert_eq!(unknown.header("origin", "null").send().await.status, 404);
    let dead = world.post(KEYS).header("cookie", "remotegpu_session=x");
    assert_eq!(dead.header("origin", "null").send().await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_gives_500() {
    // C5
    let world = World::new().await;
    let token = world.person("ada").await;
    let headers: [(&str, &[u8]); 13] = [
        ("authorization", b"\xFF\xFE"),
        ("authorization", b"Bearer \xFF"),
        ("x-api-key", b"\xFF"),
        ("cookie", b"remotegpu_session=\xFF; ;;=;a"),
        ("content-type", b"\xFF"),
        ("accept", b"\xFF, */*;q=x"),
        ("origin", b"\xFF"),
        ("x-request-id", b"\xFF"),
        ("x-forwarded-for", b"\xFF, ,,"),
        ("forwarded", b"host=evil.org"),
        ("range", b"bytes=9-1"),
        ("if-none-match", b"*"),
        ("accept-encoding", b"gzip, br, \xFF"),
    ];
    let long = format!("{KEYS}?{}", "x=%FF&".repeat(2000));
    for path in [
        KEYS,
        "/livez",
        "/docs/",
        "/openapi.json",
        "/v1/auth/key",
        &long,
    ] {
        for (name, value) in headers {
            let answer = world.get(path).header(name, value).send().await;
            assert!(answer.status < 500, "{path} {name} {answer:?}");
        }
    }
    let upgrade = world
        .get("/livez")
        .header("upgrade", "websocket")
        .send()
        .await;
    assert_eq!(upgrade.status, 200);
    let bodies = [
        json!({"name": "a\u{0}b", "scopes": {"all": true}}).to_string(),
        json!({"name": "a", "scopes": {"all": true}, "expires_at": "9999-12-31T23:59:59-01:00"})
            .to_string(),
        json!({"name": "a", "scopes": {"all": true}, "expires_at": "0000-01-01T00:00:00+01:00"})
            .to_string(),
        format!(r#"{{"name":"a","scopes":{}}}"#, "[".repeat(30_000)),
        r#"{"name":"\ud800","scopes":{"all":true}}"#.to_owned(),
    ];
    for body in bodies {
        let answer = world.post(KEYS).bearer(&token).json(&body).send().await;
        assert_eq!(answer.status, 400, "{body:.80} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_a_get_without_a_body() {
    let world = World::new().await;
    let token = world.person("ada").await;
    for path in ["/livez", "/openapi.json", "/docs/", KEYS] {
        let head = world.request("HEAD", path).bearer(&token).send().await;
        let get = world.get(path).bearer(&token).send().await;
        assert_eq!((head.status, get.status), (200, 200), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_closes_signing_up() {
    // A10
    let world = World::with(|config| config.api.sign_up_open = false).await;
    let answer = world.post("/v1/auth/sign-up").json("{}").send().await;
    assert_eq!(
        answer.comparable(),
        world
            .post("/v1/auth/x")
            .json("{}")
            .send()
            .await
            .comparable()
    );
}
