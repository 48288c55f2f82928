//! Answers that come in parts.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use futures_util::{StreamExt, stream};
use remotegpu_edge::{ApiError, Csrf, Deadline, Front, RoutePolicy, WorkClass};

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

fn nothing(error: &ApiError, _: &str, _: &HttpRequest) -> HttpResponse {
    HttpResponse::new(error.code().status())
}

fn front() -> Front {
    Front::new(|routes| {
        routes
            .get("/steady", STREAM, steady)
            .get("/stuck", STREAM, stuck)
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

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_long_but_not_silent_and_holds_its_place() {
    let world = World::new(front()).await;
    let at_work = || {
        let loads = world.edge.loads();
        loads
            .iter()
            .find(|(class, _)| *class == "request")
            .unwrap()
            .1
            .in_flight
    };
    let asked = std::time::Instant::now();
    let (steady, stuck, held) = tokio::join!(
        world.ask("GET", "/steady", &[]),
        world.ask("GET", "/stuck", &[]),
        async {
            // Both are past their heads by then, and neither has ended.
            tokio::time::sleep(IDLE / 2).await;
            at_work()
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
    assert_eq!(at_work(), 0);
}
