//! How long the script waits, when it asks again, and what it says about clocks (contract X4).

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};

use crate::canned_server::{CannedServer, http, http_with};
use crate::plugin_shell::{CREDENTIAL, KEY, assert_line, plugin, problem, run, shells};

pub fn refusing_once(status: u16, code: &str, headers: &'static str) -> CannedServer {
    let body = problem("Come again").replace(r#""c""#, &format!("{code:?}"));
    let mut first = true;
    CannedServer::answering_each(move |_| {
        if std::mem::take(&mut first) {
            http_with(status, headers, body.as_bytes())
        } else {
            http(200, CREDENTIAL.as_bytes())
        }
    })
}

fn name_of(request: &str) -> String {
    let request = request.to_lowercase();
    let (_, rest) = request.split_once("\r\nx-request-id: ").unwrap();
    rest.split("\r\n").next().unwrap().to_owned()
}

// X4
#[test]
fn who_came_too_often_comes_again_when_the_server_says() {
    for shell in shells() {
        for (status, code) in [(429, "rate_limited"), (503, "overloaded")] {
            let server = refusing_once(status, code, "retry-after: 1\r\n");
            let begun = Instant::now();
            let output = run(&shell, &server.url);
            assert_eq!(
                String::from_utf8_lossy(&output.stderr),
                "",
                "{shell:?} {code}"
            );
            assert!(begun.elapsed() >= Duration::from_secs(1), "{code}");
            // Under the same name it keeps its place.
            assert_eq!(name_of(&server.request()), name_of(&server.request()));
        }
    }
}

// X4
#[test]
fn every_other_answer_fails_at_once() {
    for shell in shells() {
        for (status, code, headers) in [
            (429, "rate_limited", "retry-after: 5\r\n"),
            (429, "rate_limited", "retry-after: 99999999999999999999\r\n"),
            (
                429,
                "rate_limited",
                "retry-after: Fri, 27 Nov 2026 16:00:00 GMT\r\n",
            ),
            (429, "rate_limited", ""),
            (503, "cluster_unavailable", "retry-after: 1\r\n"),
            (500, "internal", "retry-after: 1\r\n"),
            (401, "invalid_api_key", "retry-after: 1\r\n"),
        ] {
            let server = refusing_once(status, code, headers);
            assert_line(&shell, &run(&shell, &server.url), "Come again");
            server.request();
            server.assert_unasked();
        }
    }
}

// X4: whatever a server does, its name and the time stand in the line.
#[test]
fn a_server_that_says_nothing_is_given_up_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let shell = ["sh".to_owned()];
    let begun = Instant::now();
    let output = run(&shell, &format!("{origin}/v1/x"));
    let took = begun.elapsed();
    assert_line(
        &shell,
        &output,
        &format!("no answer from {origin} within 5 seconds"),
    );
    assert!(took >= Duration::from_secs(4), "{took:?}");
    // A machine that is busy may start it late, but it has given up at five.
    assert!(took < Duration::from_secs(15), "{took:?}");
}

// X4
#[test]
fn a_clock_that_is_wrong_is_named() {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let refused = problem("Invalid API key");
    for shell in shells() {
        let answering = |status, body: &str, time: String| {
            let headers = format!("x-remotegpu-time: {time}\r\n");
            let answer = http_with(status, &headers, body.as_bytes());
            run(&shell, &CannedServer::answering(answer).url)
        };
        let ahead = answering(200, CREDENTIAL, (now - 7200).to_string());
        assert_eq!(
            String::from_utf8_lossy(&ahead.stderr),
            "remotegpu: warning: this machine's clock is 120 minutes ahead of the server's: set it right\n"
        );
        assert_eq!(
            String::from_utf8_lossy(&ahead.stdout).trim_end(),
            CREDENTIAL
        );
        assert_line(
            &shell,
            &answering(401, &refused, (now + 7200).to_string()),
            "Invalid API key; this machine's clock is 120 minutes behind the server's",
        );
        for time in [
            now.to_string(),
            (now - 50).to_string(),
            "soon".into(),
            String::new(),
            "9".repeat(40),
        ] {
            assert_line(&shell, &answering(401, &refused, time), "Invalid API key");
        }
    }
}

// X13
#[test]
fn what_stands_around_a_key_is_taken_off() {
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        for (before, after) in [
            ("", "\n"),
            ("", "\r\n"),
            ("\"", "\""),
            ("'", "'\r\n"),
            (" \t", " "),
        ] {
            let key = format!("{before}{KEY}{after}");
            let output = plugin(&shell, &server.url)
                .env("REMOTEGPU_API_KEY", key)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
            assert!(server.request().contains(&format!("x-api-key: {KEY}\r\n")));
        }
    }
}

// X4: curl repeats what it cannot read.
#[test]
fn a_password_in_a_proxys_address_is_not_said() {
    for shell in shells() {
        for proxy in [
            "http://me:secret@proxy:port",
            "http://me:secret@proxy.invalid:1",
            "nonsense://me:secret@x",
            "http://me:secret@127.0.0.1:1",
        ] {
            let output = plugin(&shell, "http://server.invalid/v1/x")
                .env("http_proxy", proxy)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.starts_with("remotegpu: no answer from http://server.invalid: "),
                "{said}"
            );
            assert!(
                said.lines().count() == 1 && !said.contains("secret"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_file_of_certificates_is_given_to_curl_unless_it_is_empty() {
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let set = |path: &str| {
            let url = server.url.replace("http:", "https:");
            let output = plugin(&shell, &url)
                .env("REMOTEGPU_CA_FILE", path)
                .output()
                .unwrap();
            String::from_utf8(output.stderr).unwrap()
        };
        assert!(set("/no such/file").contains("/no such/file"), "{shell:?}");
        let output = plugin(&shell, &server.url)
            .env("REMOTEGPU_CA_FILE", "")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
