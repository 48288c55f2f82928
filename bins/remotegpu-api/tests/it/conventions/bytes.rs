//! What a client may send that no client should (contract C5).

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn odd_bytes_are_answered_and_never_with_500() {
    // C5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let own = host(&server);
    let start = |line: &str| format!("{line} HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n");
    let token = format!("authorization: Bearer {}\r\n", person.session_token);
    let mut requests: Vec<(Vec<u8>, &[u16])> = Vec::new();
    let mut ask = |line: &str, headers: &[u8], statuses: &'static [u16]| {
        requests.push((
            [start(line).as_bytes(), headers, b"\r\n"].concat(),
            statuses,
        ));
    };
    let session = "GET /v1/auth/session";
    ask(session, b"authorization: Bearer \xFF\xFE\r\n", &[400, 401]);
    ask(session, b"cookie: remotegpu_session=\xFF\r\n", &[400, 401]);
    ask(
        session,
        b"cookie: \xC3\x28=; ;;=; remotegpu_session\r\n",
        &[400, 401],
    );
    ask("GET /v1/auth/key", b"x-api-key: rgpu_\xFF\r\n", &[400, 401]);
    ask(
        "GET /v1/auth/key",
        b"x-api-key: rgpu_\xE2\x82\xAC\r\n",
        &[401],
    );
    ask("GET /livez", b"x-request-id: \xFF\r\n", &[200, 400]);
    ask("GET /livez", b"x-\xFF: y\r\n", &[400]);
    ask("GET /livez", b"x: a\0b\r\n", &[400]);
    ask(
        "POST /v1/auth/sign-in",
        b"origin: \xFF\r\ncontent-length: 0\r\n",
        &[400, 403],
    );
    ask(
        "POST /v1/auth/sign-in",
        b"content-type: \xFF\r\ncontent-length: 1\r\n\r\n{",
        &[400, 415],
    );
    ask("GET /%FF%FE", b"", &[404]);
    ask("GET /%", b"", &[400, 404]);
    ask("GET /%zz", b"", &[400, 404]);
    ask("GET /v1/auth/\u{e4}", b"", &[400, 404]);
    let long = |length: usize| format!("GET /{}", "a".repeat(length));
    ask(&long(8_000), b"", &[404, 414]);
    ask(&long(65_000), b"", &[404, 414]);
    ask(&long(1_000_000), b"", &[400, 404, 413, 414, 431]);
    let header = |length: usize| format!("x: {}\r\n", "a".repeat(length)).into_bytes();
    ask("GET /livez", &header(8_000), &[200]);
    ask("GET /livez", &header(1_000_000), &[400, 413, 431]);
    ask("GET /livez", &b"x: y\r\n".repeat(1_000), &[200, 400, 431]);
    let authorized = token.as_bytes();
    for query in [
        "limit=%FF",
        "limit=%",
        "cursor=%00",
        "cursor=%FF%FF",
        "limit=1&limit=2",
        "=&==&&&",
        "limit=\u{661}",
        "cursor=ffffffffffffffffffffffffffffffff",
        "limit[]=1",
        &"x=%FF&".repeat(2_000),
    ] {
        ask(&format!("GET {KEYS}?{query}"), authorized, &[200, 400]);
    }
    for id in [
        "%00",
        "%FF",
        "%2e%2e",
        "%2F",
        "..%2f..",
        "%",
        "%E2%82",
        "'%20OR%201=1--",
        "{key_id}",
    ] {
        ask(&format!("POST {KEYS}/{id}/revoke"), authorized, &[400, 404]);
        ask(
            &format!("GET /v1/kubernetes/namespaces/{id}/kubeconfig"),
            authorized,
            &[400, 404],
        );
    }
    ask("GET *", b"", &[400, 404]);
    ask("OPTIONS *", b"", &[404]);
    ask("CONNECT evil.example:443", b"", &[400, 404, 405, 421]);
    ask("GET /livez", b"upgrade: websocket\r\n", &[200]);
    for path in ["/livez", "/docs/", "/openapi.json", "/v1/auth/key", KEYS] {
        for header in [
            &b"authorization: \xFF\xFE"[..],
            b"x-api-key: \xFF",
            b"cookie: remotegpu_session=\xFF; ;;=;a",
            b"content-type: \xFF",
            b"accept: \xFF, */*;q=x",
            b"origin: \xFF",
            b"x-forwarded-for: \xFF, ,,",
            b"forwarded: host=evil.org",
            b"range: bytes=9-1",
            b"if-none-match: *",
            b"accept-encoding: gzip, br, \xFF",
        ] {
            let line = [header, b"\r\n"].concat();
            ask(&format!("GET {path}"), &line, &[200, 304, 400, 401, 416]);
        }
    }
    for (request, statuses) in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        let (status, answer) = raw(&server.url, request);
        assert!(statuses.contains(&status), "{shown:?}: {answer}");
    }

    // The same for every route, with bodies and parameters that nobody meant.
    let (http, key) = (client(), person.key(json!({"all": true})).await);
    let bodies = [
        "",
        "{}",
        "[]",
        "null",
        "{\"\":\"\"}",
        "{\"name\":{\"name\":{}}}",
        "{\"name\":\"\\u0000\"}",
        "{\"email\":\"\\u0000\",\"password\":\"\\u0000\",\"account_name\":\"\\u0000\"}",
        "{\"name\":\"x\",\"scopes\":{\"kubernetes_exec\":{\"namespace_ids\":[\"\\u0000\"]}}}",
        "{\"grace_seconds\":1e400}",
        "{\"grace_seconds\":99999999999999999999}",
        "{\"name\":\"x\",\"cluster\":\"\\u0000\"}",
        "{\"expires_at\":\"9999-12-31T23:59:60Z\"}",
        "{\"account_id\":\"\\u0000\"}",
        "{\"current\":\"\\u0000\",\"new\":\"xxxxxxxxxxxxxxxx\"}",
    ];
    let ids = ["%00", "00000000-0000-0000-0000-000000000000"];
    for Operation { method, path, .. } in operations(&server).await {
        let ids = if path.contains('{') {
            &ids[..]
        } else {
            &ids[..1]
        };
        let bodies = if method == Method::GET {
            &bodies[..1]
        } else {
            &bodies[..]
        };
        for (id, body) in ids
            .iter()
            .flat_map(|id| bodies.iter().map(move |body| (id, body)))
        {
            if path.ends_with("sign-out") {
                continue;
            }
            let query = format!("limit=%00&plugin=%FF&cursor={id}");
            let request = http
                .request(
                    method.clone(),
                    format!("{}{}?{query}", server.url, filled(&path, id)),
                )
                .bearer_auth(&person.session_token)
                .header("x-api-key", &key.key)
                .header("content-type", "application/json");
            let answer = send(request.body(*body)).await;
            assert!(
                answer.status.as_u16() < 500,
                "{method} {path} {body}: {answer:?}"
            );
        }
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_400_and_the_end_of_the_connection() {
    // C5
    let server = Server::start(Backend::Sqlite).await;
    let own = host(&server);
    for nonsense in [
        b"nonsense\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n: x\r\n\r\n".to_vec(),
        b"GET /\xFF HTTP/1.1\r\n\r\n".to_vec(),
        format!("POST {KEYS} HTTP/1.1\r\nhost: {own}\r\ncontent-length: x\r\n\r\n").into_bytes(),
        format!("POST {KEYS} HTTP/1.1\r\nhost: {own}\r\ncontent-length: -1\r\n\r\n").into_bytes(),
        format!(
            "POST {KEYS} HTTP/1.1\r\nhost: {own}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
        )
        .into_bytes(),
        format!(
            "POST {KEYS} HTTP/1.1\r\nhost: {own}\r\ncontent-length: 3\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        .into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&nonsense).into_owned();
        // The connection is not finished from this side: the server ends it.
        let follow = format!("GET /livez HTTP/1.1\r\nhost: {own}\r\n\r\n");
        let answer = Raw::connect(&server.url).send(nonsense).send(follow).rest();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown:?}: {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{shown:?}: {answer:?}"
        );
        assert!(!answer.contains("problem+json"), "{answer}");
    }
    let alive = send(client().get(format!("{}/livez", server.url))).await;
    alive.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_answered_with_400() {
    // C5
    let server = Server::start(Backend::Sqlite).await;
    let own = host(&server);
    let head = |framing: &str| {
        format!(
            "POST /v1/auth/sign-in HTTP/1.1\r\nhost: {own}\r\n\
             content-type: application/json\r\n{framing}\r\n\r\n"
        )
    };
    for (framing, begun, broken) in [
        ("transfer-encoding: chunked", "1\r\n{\r\n", "zz\r\n"),
        ("transfer-encoding: chunked", "1\r\n{\r\n", "-1\r\n"),
        ("content-length: 9", "{", ""),
    ] {
        let mut connection = Raw::connect(&server.url);
        connection.send(head(framing)).send(begun);
        std::thread::sleep(Duration::from_millis(100));
        connection.send(broken);
        if broken.is_empty() {
            connection.finish();
        }
        let answer = connection.rest();
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{framing} {broken}: {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_broken_chunks_is_answered_before_the_connection_ends() {
    // C5
    let server = Server::start(Backend::Sqlite).await;
    let own = host(&server);
    let head = |path: &str, extra: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {own}\r\n{extra}\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
    };
    let tail = "x".repeat(300_000);
    let broken = [
        "zz\r\n",
        "1\r\n{zz\r\n",
        "1\r\n{\r\n-1\r\n",
        "1\r\n{\r\nzz\r\n",
        "1\r\n{\r\nfffffffffffffffff\r\n",
        "\r\n",
        "5\n{}\n",
    ];
    let check = |path: &str, extra: &str, status: u16, chunks: String| {
        let whole = Raw::connect(&server.url)
            .send(head(path, extra) + &chunks)
            .rest();
        let mut connection = Raw::connect(&server.url);
        connection.send(head(path, extra));
        std::thread::sleep(Duration::from_millis(60));
        let apart = connection.send(&chunks).rest();
        for answer in [whole, apart] {
            let shown = &chunks[..chunks.len().min(40)];
            let first = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&first), "{path} {shown:?}: {answer:?}");
            assert_eq!(
                answer.matches("HTTP/1.1 ").count(),
                1,
                "{shown:?}: {answer}"
            );
            assert!(answer.contains("problem+json"), "{shown:?}: {answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let length = format!("content-length: {}", body.len());
            assert!(head.to_lowercase().contains(&length), "cut off: {answer}");
        }
    };
    // The message is no HTTP: the answer need not be a problem document.
    let bare = |path: &str, extra: &str, chunks: String| {
        let request = head(path, extra) + &chunks;
        let answer = Raw::connect(&server.url).send(request).rest();
        let shown = &chunks[..chunks.len().min(40)];
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown:?}: {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{shown:?}: {answer}"
        );
    };
    let person = server.operator().await;
    let authorization = format!("authorization: Bearer {}\r\n", person.session_token);
    let early = format!("1\r\n{{\r\nzz\r\n{tail}");
    let early = || early.clone();
    std::thread::scope(|scope| {
        for chunks in broken {
            for more in ["", tail.as_str()] {
                let chunks = format!("{chunks}{more}");
                scope.spawn(|| check("/v1/auth/sign-in", "", 400, chunks));
            }
        }
        // Where the body decides nothing, it is the answer that it would be otherwise.
        scope.spawn(|| check(KEYS, "", 401, early()));
        // Here nobody has asked for the body yet when it breaks.
        for chunks in broken {
            for more in ["", tail.as_str()] {
                let chunks = format!("{chunks}{more}");
                scope.spawn(|| bare(KEYS, &authorization, chunks));
            }
        }
        scope.spawn(|| check("/nowhere", "", 404, early()));
        scope.spawn(|| check("/v1/auth/sign-in", "origin: null\r\n", 403, early()));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_after_an_unread_body_is_its_own() {
    // C5: what a refused request carried is never read as the next one.
    let server = Server::start(Backend::Sqlite).await;
    let own = host(&server);
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nhost: {own}\r\n\r\n");
    let refused = |path: &str, extra: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {own}\r\ncontent-type: application/json\r\n\
             {extra}content-length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        )
    };
    let last = format!("GET /livez HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n\r\n");
    let check = |(request, status): (String, u16)| {
        // At once, and with the body coming after the answer.
        let together = Raw::connect(&server.url)
            .send(request.clone() + &last)
            .rest();
        let mut connection = Raw::connect(&server.url);
        let (head, body) = request.split_at(request.len() - smuggled.len());
        connection.send(head);
        std::thread::sleep(Duration::from_millis(30));
        let apart = connection.send(body).send(&last).rest();
        for answers in [together, apart] {
            let first = format!("HTTP/1.1 {status} ");
            assert!(answers.starts_with(&first), "{status}: {answers}");
            let count = answers.matches("HTTP/1.1 ").count();
            // Closing instead of reading on is as good.
            assert!(count <= 2, "the body was read as a request: {answers}");
            assert_eq!(
                answers.matches("HTTP/1.1 200 ").count(),
                count - 1,
                "{answers}"
            );
        }
    };
    // Each may wait some seconds for the server to close.
    std::thread::scope(|scope| {
        for case in [
            (refused(KEYS, ""), 401),
            (refused("/v1/auth/key", ""), 405),
            (refused("/nowhere", ""), 404),
            (
                refused("/v1/kubernetes/namespaces/x/exec-credential", ""),
                401,
            ),
            (refused("/v1/auth/sign-in", "origin: null\r\n"), 403),
            (
                refused("/v1/auth/sign-in", "content-encoding: gzip\r\n"),
                415,
            ),
            (refused("/v1/auth/sign-in", ""), 400),
        ] {
            scope.spawn(|| check(case));
        }
    });
    // Many on one connection, each answered in turn.
    let mut connection = Raw::connect(&server.url);
    for _ in 0..3 {
        connection.send(refused(KEYS, ""));
        let answer = connection.answer();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        if answer.to_lowercase().contains("connection: close") {
            connection = Raw::connect(&server.url);
        }
    }
}
