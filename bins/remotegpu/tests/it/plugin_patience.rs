//! How long the plugin waits, and when it asks again (contract X4).

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::exec_credential::{CREDENTIAL, assert_line, plugin};
use crate::server::{Server, problem};
use crate::user::run;

/// An answer with more headers than most.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Word\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn refusing_once(status: u16, code: &'static str, retry_after: &'static str) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start_raw(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return answer(200, "", CREDENTIAL);
        }
        answer(status, retry_after, &problem(status, code, "Come again").1)
    })
}

// X4
#[test]
fn who_came_too_often_comes_again_when_the_server_says() {
    for (status, code) in [(429, "rate_limited"), (503, "overloaded")] {
        let server = refusing_once(status, code, "retry-after: 1\r\n");
        let begun = Instant::now();
        let run = run(&mut plugin(&server.url));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{code}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{code}");
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{code}");
        // Under the same name it keeps its place.
        let name = |request: usize| requests[request].header("x-request-id");
        assert!(name(0).is_some() && name(0) == name(1), "{requests:?}");
    }
}

// X4
#[test]
fn every_other_answer_fails_at_once() {
    for (status, code, retry_after) in [
        (429, "rate_limited", "retry-after: 5\r\n"),
        (429, "rate_limited", "retry-after: 99999999999999999999\r\n"),
        (429, "rate_limited", "retry-after: soon\r\n"),
        (429, "rate_limited", ""),
        (503, "cluster_unavailable", "retry-after: 1\r\n"),
        (503, "namespace_provisioning", "retry-after: 1\r\n"),
        (500, "internal", "retry-after: 1\r\n"),
        (401, "invalid_api_key", "retry-after: 1\r\n"),
    ] {
        let server = refusing_once(status, code, retry_after);
        assert_line(&run(&mut plugin(&server.url)), "Come again");
        assert_eq!(server.requests().len(), 1, "{status} {code} {retry_after}");
    }
}

// X4: whatever a server does, its name and the time stand in the line.
#[test]
fn a_server_that_says_nothing_is_given_up_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    let silent = run(&mut plugin(&url));
    let took = begun.elapsed();
    assert_line(&silent, &format!("no answer from {url} within 5 seconds"));
    assert!(took >= Duration::from_secs(4), "{took:?}");
    // A machine that is busy may start it late, but it has given up at five.
    assert!(took < Duration::from_secs(15), "{took:?}");
}

// X4
#[test]
fn a_clock_that_is_wrong_is_named_and_made_up_for() {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let answering = |status, body: String, time: u64| {
        let server = Server::start_raw(move |_| {
            answer(status, &format!("x-remotegpu-time: {time}\r\n"), &body)
        });
        run(&mut plugin(&server.url))
    };
    // As if this machine were two hours ahead.
    let ahead = answering(200, CREDENTIAL.to_owned(), now - 7200);
    assert_eq!(
        ahead.stderr,
        "remotegpu: warning: this machine's clock is 120 minutes ahead of the server's: set it right\n"
    );
    assert!(
        ahead.stdout.contains("2030-01-01T01:59:") || ahead.stdout.contains("2030-01-01T02:00:"),
        "{ahead:?}"
    );
    assert!(ahead.stdout.contains("header.pay-load.signature"));
    let refused = problem(401, "invalid_api_key", "Invalid API key").1;
    assert_line(
        &answering(401, refused.clone(), now + 7200),
        "Invalid API key; this machine's clock is 120 minutes behind the server's",
    );
    let right = answering(200, CREDENTIAL.to_owned(), now);
    assert_eq!(
        (right.stderr.as_str(), right.stdout.trim_end()),
        ("", CREDENTIAL)
    );
    let slightly = answering(401, refused, now - 50);
    assert_line(&slightly, "Invalid API key");
}
