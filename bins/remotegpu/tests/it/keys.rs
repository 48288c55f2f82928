use serde_json::{Value, json};

use crate::server::{Answer, Request, Server, problem};
use crate::user::User;

pub const KEY: &str = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
pub const KEY_ID: &str = "0198c0de-0000-7000-8000-00000000000a";
const NAMESPACE_ID: &str = "0198c0de-0000-7000-8000-00000000000b";
const OTHER_ID: &str = "0198c0de-0000-7000-8000-000000000099";

fn item(name: &str, id: &str, status: &str) -> Value {
    json!({
        "id": id, "name": name, "prefix": "rgpu_aaaaaaaa", "scopes": {"inference": true},
        "status": status, "created_at": "2026-11-21T08:00:00Z", "created_by": "u",
        "expires_at": null, "revoked_at": null, "last_used_at": null,
    })
}

pub fn account(request: &Request) -> Answer {
    let list = |items: Value| {
        (
            200,
            json!({"items": items, "next_cursor": null}).to_string(),
        )
    };
    let (method, path) = request.line.split_once(' ').unwrap();
    let path = path.split('?').next().unwrap();
    match (method, path) {
        ("GET", "/v1/kubernetes/namespaces") => {
            list(json!([{"id": NAMESPACE_ID, "name": "team-ml"}, {"id": OTHER_ID, "name": "x"}]))
        }
        ("GET", "/v1/account/api-keys") => list(json!([
            item("laptop", KEY_ID, "active"),
            item("laptop", "0198c0de-0000-7000-8000-00000000000c", "revoked"),
            item("twin", "0198c0de-0000-7000-8000-00000000000d", "active"),
            item("twin", "0198c0de-0000-7000-8000-00000000000e", "active"),
            item("old", "0198c0de-0000-7000-8000-00000000000f", "revoked"),
        ])),
        ("GET", "/v1/auth/session") => (200, json!({"role": "admin"}).to_string()),
        ("POST", "/v1/account/api-keys") => {
            let mut made = item("laptop", KEY_ID, "active");
            made["key"] = KEY.into();
            (201, made.to_string())
        }
        ("POST", path) if path.ends_with("/rotate") => {
            let mut made = item("laptop", KEY_ID, "active");
            made["key"] = KEY.into();
            (200, made.to_string())
        }
        ("PATCH", _) => (200, item("laptop", KEY_ID, "active").to_string()),
        ("POST", path) if path.ends_with("0f/revoke") => problem(
            409,
            "key_not_active",
            "Revoked or expired keys cannot be modified",
        ),
        ("POST", path) if path.ends_with("/revoke") => {
            (200, item("laptop", KEY_ID, "revoked").to_string())
        }
        _ => problem(404, "not_found", "Not found"),
    }
}

fn sent(words: &str) -> Value {
    let server = Server::start(account);
    let run = User::signed_in(&server.url).run(&server.url, words);
    assert_eq!(run.code, 0, "{run:?}");
    server.requests().last().unwrap().json()
}

// K2
#[test]
fn a_new_key_stands_alone_on_stdout() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "keys create laptop --all");
    assert_eq!(run.stdout, format!("{KEY}\n"));
    assert!(
        run.stderr.contains("laptop") && !run.stderr.contains(KEY),
        "{run:?}"
    );

    let run = user.run(&server.url, "keys create laptop --all -o json");
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(printed["key"], KEY);
    assert_eq!(run.stderr, "");

    let run = user.run(&server.url, "keys rotate laptop --grace 1h");
    assert_eq!(run.stdout, format!("{KEY}\n"));
    let rotate = server.requests().pop().unwrap();
    assert_eq!(
        rotate.line,
        format!("POST /v1/account/api-keys/{KEY_ID}/rotate")
    );
    assert_eq!(rotate.json(), json!({"grace_seconds": 3600}));
}

// K9
#[test]
fn scopes_and_expiry_are_sent_as_the_contract_has_them() {
    assert_eq!(
        sent("keys create a --inference --expires-at 2030-01-31T12:00:00+01:00"),
        json!({"name": "a", "scopes": {"inference": true}, "expires_at": "2030-01-31T12:00:00+01:00"})
    );
    assert_eq!(
        sent("keys create a --all-namespaces"),
        json!({"name": "a", "scopes": {"kubernetes_exec": {"all_namespaces": true}}})
    );
    assert_eq!(
        sent(&format!(
            "keys create --namespace team-ml --namespace {OTHER_ID} a"
        )),
        json!({"name": "a", "scopes": {"kubernetes_exec": {"namespace_ids": [NAMESPACE_ID, OTHER_ID]}}})
    );
    // By the clock of the server, whatever that of this machine says.
    let timed = sent("keys create a --all --expires-in 30d");
    assert_eq!(timed["expires_at"], "2026-12-21T08:00:00Z");
    assert_eq!(
        sent("keys update laptop --name new --never-expires"),
        json!({"name": "new", "expires_at": null})
    );
    assert_eq!(
        sent("keys update laptop --all"),
        json!({"scopes": {"all": true}})
    );
}

// K9
#[test]
fn words_that_contradict_each_other_are_a_usage_error() {
    let user = User::new();
    for words in [
        "keys create a",
        "keys create --all",
        "keys create a --all --inference",
        "keys create a --namespace x --all-namespaces",
        "keys create a --all --expires-in 1d --expires-at 2030-01-01T00:00:00Z",
        "keys create a --all --expires-in tomorrow",
        "keys create a --all --expires-at tomorrow",
        "keys update laptop",
        "keys update laptop --never-expires --expires-in 1d",
        "keys",
        "nonsense",
        "keys list -o yaml",
        "--server ftp://x keys list",
    ] {
        let run = user.run("http://127.0.0.1:1", words);
        assert_eq!(run.code, 2, "{words}: {run:?}");
    }
}

// K7
#[test]
fn a_key_is_named_by_id_or_by_a_name_that_one_active_key_has() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    for named in ["laptop", KEY_ID] {
        assert_eq!(
            user.run(&server.url, &format!("keys revoke {named}")).code,
            0
        );
        let line = server.requests().pop().unwrap().line;
        assert_eq!(line, format!("POST /v1/account/api-keys/{KEY_ID}/revoke"));
    }
    let run = user.run(&server.url, "keys revoke twin");
    assert!(
        run.stderr
            .contains("`twin` may be one of several API keys:"),
        "{run:?}"
    );
    let run = user.run(&server.url, "keys revoke nobody");
    assert_eq!(
        run.stderr,
        "error: there is no API key `nobody`; see `remotegpu keys list`\n"
    );
    // K6
    let run = user.run(&server.url, "keys revoke old");
    assert_eq!(
        run.stderr,
        "error: Revoked or expired keys cannot be modified\n"
    );
    assert_eq!(run.code, 1);
}

// C4
#[test]
fn a_list_is_followed_over_all_its_pages() {
    let server = Server::start(|request| {
        let page = if request.line.contains("cursor=next%26page") {
            json!({"items": [item("second", KEY_ID, "active")], "next_cursor": null})
        } else {
            json!({"items": [item("first", KEY_ID, "active")], "next_cursor": "next&page"})
        };
        (200, page.to_string())
    });
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "keys list -o name");
    assert_eq!(run.stdout, "first\nsecond\n");
    let run = user.run(&server.url, "keys list -o json");
    let listed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let run = user.run(&server.url, "keys list");
    assert_eq!(run.stdout.lines().count(), 3);
    assert!(
        run.stdout
            .contains("rgpu_aaaaaaaa  active  inference  never"),
        "{run:?}"
    );
}

// C2
#[test]
fn a_problem_is_told_with_its_fields() {
    let server = Server::start(|_| {
        let body = json!({
            "detail": "Two fields are wrong", "code": "invalid_field", "request_id": "r",
            "errors": [{"field": "name", "message": "too long"}, {"field": "expires_at", "message": "past"}],
        });
        (400, body.to_string())
    });
    let run = User::signed_in(&server.url).run(&server.url, "keys create a --all");
    assert_eq!(
        run.stderr,
        "error: Two fields are wrong\n  name: too long\n  expires_at: past\n"
    );
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
}

// K5
#[test]
fn a_server_that_tells_no_time_is_asked_for_no_span() {
    let server = Server::start_raw(|request| {
        let (status, body) = account(request);
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Word\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    });
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "keys create a --all --expires-in 30d");
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(
        run.stderr,
        "error: the server does not tell its time; give the time itself, with --expires-at\n"
    );
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| request.line.starts_with("POST "))
    );
}

// C4
#[test]
fn tables_tell_times_as_kubectl_does() {
    let server = Server::start(|_| {
        let mut used = item("used", KEY_ID, "active");
        used["last_used_at"] = "2026-11-21T07:48:00Z".into();
        used["expires_at"] = "2026-11-24T08:00:00Z".into();
        let mut over = item("over", KEY_ID, "expired");
        over["expires_at"] = "2026-11-21T03:00:00Z".into();
        (
            200,
            json!({"items": [used, over], "next_cursor": null}).to_string(),
        )
    });
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "keys list");
    assert_eq!(
        run.stdout,
        format!(
            "NAME  PREFIX         STATUS   SCOPES     EXPIRES  LAST USED  ID\n\
             used  rgpu_aaaaaaaa  active   inference  3d       12m        {KEY_ID}\n\
             over  rgpu_aaaaaaaa  expired  inference  5h ago   -          {KEY_ID}\n"
        )
    );
    let run = user.run(&server.url, "keys list -o json");
    assert!(run.stdout.contains("\"2026-11-24T08:00:00Z\""), "{run:?}");
}
