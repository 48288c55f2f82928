//! More than the server can do: it does what it can, and refuses the rest at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_PASSWORD, Answer, Backend, KeyHolder, Raw, Server, ServerOptions, client, eventually,
};

const SIGN_IN: &str = "/v1/auth/sign-in";

/// Somebody at an address of their own, so that nobody is throttled.
async fn sign_in(http: &Client, url: &str, number: usize, password: &str) -> Answer {
    let address = format!("203.0.{}.{}", number / 250, number % 250);
    let body = json!({"email": "admin@localhost", "password": password, "cookie": false});
    let request = http
        .post(format!("{url}{SIGN_IN}"))
        .header("x-forwarded-for", address);
    Answer::read(request.json(&body).send().await.unwrap()).await
}

/// Section 10: refused, with a time to come again.
#[track_caller]
fn is_shed(answer: &Answer) {
    answer.problem(503, "overloaded");
    let again: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&again), "{answer:?}");
}

async fn metric(server: &Server, name: &str) -> u64 {
    let url = format!("{}/metrics", server.internal_url);
    let text = client().get(url).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name}: {text}"))
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_beyond_the_line_are_refused_at_once() {
    // A8, C5, section 10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("trusted-proxies", "127.0.0.1/32")
        .with("password-workers", "1")
        .with("password-queue", "4");
    let server = Server::start_with(options).await;
    let key = server
        .operator()
        .await
        .key(json!({"inference": true}))
        .await;
    let http = client();
    let flood = join_all((0..100).map(async |number| {
        let asked = Instant::now();
        let answer = sign_in(&http, &server.url, number, "not the password").await;
        (answer, asked.elapsed())
    }));
    let others = async {
        for _ in 0..20 {
            key.get("/v1/auth/key").await.expect(200);
        }
    };
    let (answers, ()) = tokio::join!(flood, others);

    let (mut compared, mut shed) = (Vec::new(), Vec::new());
    for (answer, took) in answers {
        if answer.status.as_u16() == 401 {
            answer.problem(401, "wrong_credentials");
            compared.push(took);
        } else {
            is_shed(&answer);
            shed.push(took);
        }
    }
    // As many as are at work and in line come through at the least.
    assert!(compared.len() >= 6, "{compared:?}");
    assert!(shed.len() >= 20, "{} of 100", shed.len());
    // Nobody waits in order to be refused.
    shed.sort();
    let slowest = compared.into_iter().max().unwrap();
    assert!(shed[shed.len() / 2] < slowest, "{shed:?} {slowest:?}");

    assert_eq!(
        metric(&server, "remotegpu_shed_total{class=\"password\"}").await,
        shed.len() as u64
    );
    eventually("all is done", Duration::from_secs(5), async || {
        metric(&server, "remotegpu_in_flight{class=\"password\"}").await == 0
    })
    .await;
    sign_in(&http, &server.url, 200, ADMIN_PASSWORD)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_at_once_is_not_refused_as_fast_as_he_asks() {
    // Section 10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("trusted-proxies", "127.0.0.1/32")
        .with("password-workers", "1")
        .with("password-queue", "0");
    let server = Server::start_with(options).await;
    let http = client();
    let began = Instant::now();
    let refused = join_all((0..8).map(async |number| {
        let mut refused = 0;
        while began.elapsed() < Duration::from_secs(2) {
            let answer = sign_in(&http, &server.url, number, "not the password").await;
            refused += u32::from(answer.status.as_u16() == 503);
        }
        refused
    }));
    let refused = refused.await;
    // 20 ms for each; the last may be asked before the end.
    let most = began.elapsed().as_millis() / 20 + 1;
    let fast = refused.iter().any(|refused| u128::from(*refused) > most);
    assert!(
        !fast && refused.iter().sum::<u32>() > 0,
        "{refused:?} of {most}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_still_on_their_way_hold_no_place() {
    // C5, section 10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("password-workers", "1")
        .with("password-queue", "0")
        .with("request-concurrency", "2");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let key = person.key(json!({"inference": true})).await;
    let body = json!({"email": "admin@localhost", "password": "not the password"}).to_string();
    let head = format!(
        "POST {SIGN_IN} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        server.url.trim_start_matches("http://"),
        body.len()
    );
    let (first, second) = body.split_at(10);
    let mut slow: Vec<Raw> = (0..16).map(|_| Raw::connect(&server.url)).collect();
    for raw in &mut slow {
        raw.send(&head).send(first);
    }
    // Sixteen have begun, where there is room for two.
    for _ in 0..10 {
        key.get("/v1/auth/key").await.expect(200);
    }
    server.operator().await;
    for raw in &mut slow {
        raw.send(second);
    }
    for raw in &mut slow {
        let answer = raw.answer();
        let status = answer.split(' ').nth(1);
        assert!(matches!(status, Some("401" | "429" | "503")), "{answer}");
    }
    eventually("all is done", Duration::from_secs(5), async || {
        metric(&server, "remotegpu_in_flight{class=\"request\"}").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_refused_and_probes_are_not() {
    // C5, R4, section 10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("trusted-proxies", "127.0.0.1/32")
        .with("request-concurrency", "1");
    let server = Server::start_with(options).await;
    let http = client();
    let url = &server.url;
    let flood = join_all((0..16).map(|number| sign_in(&http, url, number, "not the password")));
    let probes = async {
        for _ in 0..10 {
            for path in ["/livez", "/readyz"] {
                let answer = http.get(format!("{url}{path}")).send().await;
                Answer::read(answer.unwrap()).await.expect(200);
            }
        }
    };
    let (answers, ()) = tokio::join!(flood, probes);
    let (shed, done): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status.as_u16() == 503);
    shed.iter().for_each(is_shed);
    for answer in &done {
        answer.problem(401, "wrong_credentials");
    }
    assert!(!shed.is_empty() && !done.is_empty());
    let counted = metric(&server, "remotegpu_shed_total{class=\"request\"}").await;
    assert_eq!(counted, shed.len() as u64);
    server.operator().await;
}

async fn key_and_namespaces(server: &Server) -> (KeyHolder, Value, Value) {
    let person = server.operator().await;
    let (one, other) = (
        person.namespace("team-ml").await,
        person.namespace("team-web").await,
    );
    (person.key(json!({"all": true})).await, one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_mints_too_often_is_told_when_to_come_again() {
    // X8. Each instance counts its own: the limit is a part of the process.
    let options = ServerOptions::new(Backend::Sqlite)
        .with("mint-rate", "1")
        .with("mint-burst", "5");
    let server = Server::start_with(options).await;
    let (key, one, other) = key_and_namespaces(&server).await;
    let neighbour = server.operator().await.key(json!({"all": true})).await;
    let (done, refused): (Vec<_>, Vec<_>) = join_all((0..30).map(|_| key.mint(&one)))
        .await
        .into_iter()
        .partition(|answer| answer.status.is_success());
    assert!(done.len() >= 5, "{refused:?}");
    assert!(!refused.is_empty());
    for answer in &refused {
        answer.problem(429, "rate_limited");
    }
    // One mint a second, and each is told after how many others.
    let told =
        |answer: &Answer| -> usize { answer.header("retry-after").unwrap().parse().unwrap() };
    let last = refused.iter().map(told).max().unwrap();
    let waiting = refused.len() + 1;
    assert!((2..=waiting).contains(&last), "{last} of {waiting}");
    assert_eq!(
        metric(&server, "remotegpu_mints_rate_limited_total").await,
        refused.len() as u64
    );
    key.mint(&other).await.expect(200);
    neighbour.mint(&one).await.expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    key.mint(&one).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn mints_beyond_the_line_are_refused_at_once() {
    // C5, section 10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("mint-concurrency", "1")
        .with("mint-queue", "0");
    let server = Server::start_with(options).await;
    let (key, namespace, _) = key_and_namespaces(&server).await;
    let (done, shed): (Vec<_>, Vec<_>) = join_all((0..40).map(|_| key.mint(&namespace)))
        .await
        .into_iter()
        .partition(|answer| answer.status.is_success());
    assert!(!done.is_empty() && !shed.is_empty());
    shed.iter().for_each(is_shed);
    let counted = metric(&server, "remotegpu_shed_total{class=\"mint\"}").await;
    assert_eq!(counted, shed.len() as u64);
    key.mint(&namespace).await.expect(200);
}
