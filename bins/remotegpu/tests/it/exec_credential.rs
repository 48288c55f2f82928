use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Answer, Server, problem};
use crate::user::{Run, User, run};

pub const KEY: &str = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
pub const CREDENTIAL: &str = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2030-01-01T00:00:00Z","token":"header.pay-load.signature"}}"#;

pub fn plugin(url: &str) -> Command {
    let mut command = User::new().kubectl_remotegpu();
    command
        .args([
            "exec-credential",
            "--url",
            &format!("{url}/v1/x/exec-credential"),
        ])
        .current_dir("/")
        .env("REMOTEGPU_API_KEY", KEY);
    command
}

fn answering(answer: Answer) -> (Server, Run) {
    let server = Server::start(move |_| answer.clone());
    let run = run(&mut plugin(&server.url));
    (server, run)
}

#[track_caller]
pub fn assert_line(run: &Run, expected: &str) {
    assert_eq!(run.stderr, format!("remotegpu: {expected}\n"));
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
}

// X4, X7
#[test]
fn a_credential_goes_to_stdout_as_it_came() {
    let (server, run) = answering((200, CREDENTIAL.to_owned()));
    assert_eq!(run.stdout.trim_end(), CREDENTIAL);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let request = server.request();
    assert_eq!(request.line, "POST /v1/x/exec-credential");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.body, "");
}

// X4
#[test]
fn a_refusal_is_one_line_with_the_servers_detail() {
    for (status, detail) in [
        (401, "Invalid API key"),
        (
            403,
            "This API key does not allow Kubernetes exec for this namespace",
        ),
        (
            503,
            "The backing Kubernetes token response did not include an expiration",
        ),
        (429, "Too many credentials were asked for"),
        (500, "Internal error"),
    ] {
        let (_, run) = answering(problem(status, "code", detail));
        assert_line(&run, detail);
    }
    let (_, run) = answering(problem(403, "code", "a\u{1b}[31m\n\"b\" é"));
    assert_line(&run, "a?[31m?\"b\" ?");
    let (_, run) = answering(problem(403, "code", &"x".repeat(5000)));
    assert_line(&run, &"x".repeat(289));
    assert_eq!(run.stderr.trim_end().len(), 300);
    for body in ["", "<html>\n", r#"{"detail":null}"#, r#"{"detail":7}"#] {
        let (_, run) = answering((502, body.to_owned()));
        assert_line(&run, "the server answered with HTTP status 502");
    }
    let (server, run) = answering((307, String::new()));
    let url = &server.url;
    assert_line(
        &run,
        &format!(
            "{url} redirects to {url}/elsewhere, which is not followed: is {url} the right address?"
        ),
    );
    server.request();
}

// X4
#[test]
fn an_answer_that_is_no_credential_is_one_line() {
    let of_another_kind = CREDENTIAL.replace("ExecCredential", "Secret");
    let of_another_version = CREDENTIAL.replace("io/v1\"", "io/v1beta1\"");
    let without_token = CREDENTIAL.replace("header.pay-load.signature", "");
    for body in [
        "",
        "{}",
        "hello",
        &of_another_kind,
        &of_another_version,
        &without_token,
    ] {
        let (_, run) = answering((200, body.to_owned()));
        assert_line(
            &run,
            "the server answered with something that is no ExecCredential",
        );
    }
}

// X4
#[test]
fn a_server_that_breaks_off_or_is_not_there_is_one_line() {
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{CREDENTIAL}");
    for answer in [String::new(), "nonsense\r\n\r\n".to_owned(), whole] {
        let server = Server::start_raw(move |_| answer.clone().into_bytes());
        let run = run(&mut plugin(&server.url));
        let line = format!("remotegpu: no answer from {}: ", server.url);
        assert!(run.stderr.starts_with(&line), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    }
    assert_line(
        &run(&mut plugin("http://127.0.0.1:1")),
        "no answer from http://127.0.0.1:1: nothing listens there; is the server running, and the \
         address right?",
    );
}

// X4
#[test]
fn a_key_that_cannot_be_one_is_refused_before_the_server_is_asked() {
    let server = Server::start(|_| (200, CREDENTIAL.to_owned()));
    let missing = format!(
        "REMOTEGPU_API_KEY is not set: export your API key first, or keep it with `remotegpu \
         --server {} keys use`",
        server.url
    );
    let missing = missing.as_str();
    let odd = "REMOTEGPU_API_KEY holds a character that no API key has";
    assert_line(
        &run(plugin(&server.url).env_remove("REMOTEGPU_API_KEY")),
        missing,
    );
    assert_line(
        &run(plugin(&server.url).env("REMOTEGPU_API_KEY", "")),
        missing,
    );
    for key in [
        "rgpu-a",
        "rgpu_a rgpu_b",
        "rgpu_a\nx: 1",
        "rgpu_é",
        "\u{1b}[31m",
    ] {
        assert_line(&run(plugin(&server.url).env("REMOTEGPU_API_KEY", key)), odd);
    }
    let bytes = OsString::from_vec(b"rgpu_\xff".to_vec());
    assert_line(
        &run(plugin(&server.url).env("REMOTEGPU_API_KEY", bytes)),
        odd,
    );
    assert!(server.requests().is_empty());
}

// X4
#[test]
fn the_key_stands_in_no_argument_list() {
    let (sender, seen) = channel();
    let server = Server::start(move |request| {
        let address = request.header("host").unwrap().to_owned();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        let _ = sender.send(
            lines
                .filter(|line| line.contains(&address))
                .collect::<Vec<_>>(),
        );
        (200, CREDENTIAL.to_owned())
    });
    assert_eq!(run(&mut plugin(&server.url)).code, 0);
    let lines = seen.recv_timeout(Duration::from_secs(5)).unwrap();
    if Path::new("/proc/self/cmdline").exists() {
        assert!(!lines.is_empty());
    }
    assert!(lines.iter().all(|line| !line.contains(KEY)), "{lines:?}");
}

// X4: kubectl runs a plugin that fails several times over.
#[test]
fn a_failing_run_is_quick() {
    let start = Instant::now();
    for _ in 0..10 {
        run(plugin("http://127.0.0.1:1").env_remove("REMOTEGPU_API_KEY"));
    }
    // Ten that waited for their five seconds would take fifty.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
}

// A proxy in the environment is not for this machine's own servers.
#[test]
fn a_server_on_this_machine_is_asked_directly() {
    let server = Server::start(|_| (200, CREDENTIAL.to_owned()));
    let mut command = plugin(&server.url);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "https_proxy",
    ] {
        command.env(name, "http://127.0.0.1:1");
    }
    assert_eq!(run(&mut command).code, 0);
}

// A12
#[test]
fn whoami_tells_what_a_key_may_do() {
    let key = json!({
        "id": "0198", "name": "laptop", "prefix": "rgpu_aaaaaaaa", "scopes": {"all": true},
        "expires_at": null,
    });
    let answer = key.to_string();
    let server = Server::start(move |_| (200, answer.clone()));
    let whoami = |output: &str| {
        run(User::new()
            .kubectl_remotegpu()
            .args(["whoami", "--server", &server.url, "-o", output])
            .current_dir("/")
            .env("REMOTEGPU_API_KEY", KEY))
    };
    let table = whoami("table");
    assert!(
        table
            .stdout
            .contains("laptop  rgpu_aaaaaaaa  all     never "),
        "{table:?}"
    );
    let json: Value = serde_json::from_str(&whoami("json").stdout).unwrap();
    assert_eq!(json, key);
    assert_eq!(server.requests()[0].line, "GET /v1/auth/key");
    assert_eq!(server.requests()[0].header("x-api-key"), Some(KEY));

    let server = Server::start(|_| problem(401, "invalid_api_key", "Invalid API key"));
    let refused = run(User::new()
        .kubectl_remotegpu()
        .args(["whoami", "--server", &server.url])
        .current_dir("/")
        .env("REMOTEGPU_API_KEY", KEY));
    assert_line(&refused, "Invalid API key");
}

#[test]
fn a_missing_address_is_a_usage_error() {
    let run = run(User::new()
        .kubectl_remotegpu()
        .arg("exec-credential")
        .current_dir("/"));
    assert_eq!(run.code, 2);
}
