//! Answers that come in parts.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use futures_util::{StreamExt, stream};
use remotegpu_edge::{ApiError, Csrf, Deadline, Front, RoutePolicy, WorkClass};
use tokio::process::Command;

use crate::world::World;

/// How long a stream may be silent.
const IDLE: Duration = Duration::from_secs(2);
/// Twice as long in all as a stream may be silent.
const PARTS: u64 = 8;
const BETWEEN: Duration = Duration::from_millis(500);

const STREAM: RoutePolicy = RoutePolicy {
    class: WorkClass::Other,
    csrf: Csrf::WithCookie,
    credentials: &[],
    body_limit: RoutePolicy::BODY_LIMIT,
    deadline: Deadline::Idle(IDLE),
    no_store: true,
    errors: nothing,
};

const WHOLE: RoutePolicy = RoutePolicy {
    deadline: RoutePolicy::DEADLINE,
    ..STREAM
};

fn nothing(error: &ApiError, _: &str, _: &HttpRequest) -> HttpResponse {
    HttpResponse::new(error.code().status())
}

fn front() -> Front {
    Front::new(|routes| {
        routes
            .get("/steady", STREAM, steady)
            .get("/stuck", STREAM, stuck)
            .get("/endless", STREAM, endless)
            .get("/sized", STREAM, sized)
            .get("/late", STREAM, late)
            .get("/sibling", WHOLE, sibling)
            .elsewhere("", STREAM);
    })
}

async fn steady() -> HttpResponse {
    let parts = stream::iter(0..PARTS).then(|number| async move {
        tokio::time::sleep(BETWEEN).await;
        Ok::<_, Infallible>(Bytes::from(format!("part {number}\n")))
    });
    HttpResponse::Ok().streaming(parts)
}

async fn stuck() -> HttpResponse {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"part 0\n"))]);
    HttpResponse::Ok().streaming(first.chain(stream::pending()))
}

async fn endless() -> HttpResponse {
    let parts = stream::repeat(()).then(async |()| {
        tokio::time::sleep(BETWEEN).await;
        Ok::<_, Infallible>(Bytes::from_static(b"part\n"))
    });
    HttpResponse::Ok().streaming(parts)
}

async fn sized() -> &'static str {
    "sized"
}

/// Begins after half the time that it then is silent for.
async fn late() -> HttpResponse {
    tokio::time::sleep(IDLE / 2).await;
    HttpResponse::Ok().streaming(stream::pending::<Result<Bytes, Infallible>>())
}

/// Answers when the late one is over.
async fn sibling() -> &'static str {
    tokio::time::sleep(2 * IDLE).await;
    "whole"
}

/// How many requests hold a place.
fn at_work(world: &World) -> usize {
    let loads = world.edge.loads();
    let requests = loads.iter().find(|(class, _)| *class == "request");
    requests.unwrap().1.in_flight
}

#[tokio::test(flavor = "multi_thread")]
async fn head_on_a_stream_is_over_with_its_head() {
    let world = World::new(front()).await;
    let asked = Instant::now();
    let head = world.ask("HEAD", "/endless", &[]).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert!(asked.elapsed() < IDLE, "{:?}", asked.elapsed());
    assert_eq!(at_work(&world), 0);
    let head = world.ask("HEAD", "/sized", &[]).await;
    assert!(head.contains("content-length: 5\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_long_but_not_silent_and_holds_its_place() {
    let world = World::new(front()).await;
    let asked = Instant::now();
    let (steady, stuck, held) = tokio::join!(
        world.ask("GET", "/steady", &[]),
        world.ask("GET", "/stuck", &[]),
        async {
            // Both are past their heads by then, and neither has ended.
            tokio::time::sleep(IDLE / 2).await;
            at_work(&world)
        }
    );
    assert!(
        asked.elapsed() > IDLE,
        "the steady one takes longer than it may be silent"
    );
    assert!(
        steady.contains("part 7\n") && steady.ends_with("0\r\n\r\n"),
        "{steady}"
    );
    assert!(
        stuck.contains("part 0\n") && !stuck.ends_with("0\r\n\r\n"),
        "{stuck}"
    );
    assert_eq!(held, 2);
    assert_eq!(at_work(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_of_http_2_ends_alone() {
    let world = World::encrypted(front()).await;
    let curl = Command::new("curl")
        .args([
            "--silent",
            "--noproxy",
            "*",
            "--insecure",
            "--max-time",
            "20",
        ])
        .args(["--http2", "--parallel"])
        .args([
            "--write-out",
            "\n%{http_version} %{num_connects} %{exitcode}\n",
        ])
        .args(["late", "sibling"].map(|path| format!("https://{}/{path}", world.address)))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(curl.stdout).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let [late, "whole", sibling] = lines[..] else {
        panic!("{said}");
    };
    // 92: the stream was not closed cleanly.
    assert!(late.starts_with("2 ") && late.ends_with(" 92"), "{said}");
    assert_eq!(sibling, "2 0 0", "one connection, and no error: {said}");
}
