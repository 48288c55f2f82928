//! A second front on the edge: one page for who is signed in, and errors that are pages.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header::ContentType},
};
use remotegpu_control_plane::{Anyone, Person};
use remotegpu_edge::{ApiError, Credential, Csrf, Front, RoutePolicy, SessionCaller, WorkClass};

use crate::world::World;

const ANYBODY: RoutePolicy = RoutePolicy {
    class: WorkClass::Other,
    csrf: Csrf::WithCookie,
    credentials: &[],
    body_limit: RoutePolicy::BODY_LIMIT,
    deadline: RoutePolicy::DEADLINE,
    no_store: true,
    errors: error_page,
};

const SIGNED_IN: RoutePolicy = RoutePolicy {
    credentials: &[Credential::Session],
    ..ANYBODY
};

fn front() -> Front {
    Front::new(|routes| {
        routes
            .get("/", SIGNED_IN, home)
            .post("/greetings", SIGNED_IN, home)
            // Whoever lists no session has none to give.
            .get("/forgotten", ANYBODY, home)
            .elsewhere("", ANYBODY);
    })
}

async fn home(SessionCaller(caller): SessionCaller<Person<Anyone>>) -> HttpResponse {
    page(StatusCode::OK, caller.user().email.as_str())
}

fn error_page(error: &ApiError, _: &str, _: &HttpRequest) -> HttpResponse {
    page(error.code().status(), error.detail())
}

fn page(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponseBuilder::new(status)
        .content_type(ContentType::html())
        .body(format!("<!doctype html><p>{text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_of_pages_has_sessions_csrf_and_errors_of_its_own_shape() {
    // A1, A9, C5, C8
    let world = World::new(front()).await;
    let cookie = &*format!("cookie: remotegpu_session={}", world.session().await);
    let own = &*format!("origin: http://{}", world.address);
    let evil = "origin: https://evil.org";
    let cases: [(&str, &str, &[&str], u16, &str); 9] = [
        ("GET", "/", &[], 401, "Missing access token"),
        ("GET", "/", &[cookie], 200, "ada@example.org"),
        ("HEAD", "/", &[cookie], 200, ""),
        ("POST", "/greetings", &[cookie, own], 200, "ada@example.org"),
        (
            "POST",
            "/greetings",
            &[cookie, evil],
            403,
            "The request comes from another site",
        ),
        (
            "POST",
            "/",
            &[cookie],
            405,
            "This path does not take this method",
        ),
        ("GET", "/nothing", &[], 404, "There is nothing here"),
        (
            "GET",
            "/",
            &["host: evil.org"],
            421,
            "This server does not answer for this host",
        ),
        (
            "GET",
            "/forgotten",
            &[cookie],
            500,
            "Something went wrong on the server",
        ),
    ];
    for (method, path, headers, status, text) in cases {
        let answer = world.ask(method, path, headers).await;
        let what = format!("{method} {path}: {answer}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}");
        assert!(answer.contains("content-type: text/html"), "{what}");
        assert!(answer.contains("x-request-id: "), "{what}");
        assert!(answer.ends_with(text), "{what}");
    }
}
