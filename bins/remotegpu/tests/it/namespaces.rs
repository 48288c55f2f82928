use serde_json::{Value, json};

use crate::server::{Answer, Request, Server, problem};
use crate::user::User;

const ID: &str = "0198c0de-0000-7000-8000-00000000000b";

fn item(name: &str, status: &str) -> Value {
    json!({
        "id": ID, "name": name, "kubernetes_namespace": "team-ml-x7k2pq", "cluster": "dev",
        "status": status, "message": null, "created_at": "2026-11-21T08:00:00Z",
        "updated_at": "2026-11-21T08:00:00Z",
    })
}

fn account(request: &Request) -> Answer {
    match request.line.split(['?', '/']).next().unwrap() {
        "GET " => {
            let list = json!({"items": [item("team-ml", "active")], "next_cursor": null});
            (200, list.to_string())
        }
        "POST " => (201, item("team-ml", "provisioning").to_string()),
        "PATCH " => (200, item("web", "active").to_string()),
        "DELETE " => (202, item("team-ml", "deleting").to_string()),
        _ => problem(404, "not_found", "Not found"),
    }
}

// N3, N4, N5
#[test]
fn namespaces_are_created_renamed_and_deleted_by_name() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);

    let run = user.run(&server.url, "namespaces create team-ml --cluster dev");
    assert!(run.stdout.contains("team-ml-x7k2pq"), "{run:?}");
    assert!(run.stderr.contains("still preparing"), "{run:?}");
    let made = server.requests().pop().unwrap();
    assert_eq!(made.line, "POST /v1/kubernetes/namespaces");
    assert_eq!(made.json(), json!({"name": "team-ml", "cluster": "dev"}));

    let run = user.run(&server.url, "ns rename team-ml web -o name");
    assert_eq!(run.stdout, "web\n");
    let renamed = server.requests().pop().unwrap();
    assert_eq!(
        renamed.line,
        format!("PATCH /v1/kubernetes/namespaces/{ID}")
    );
    assert_eq!(renamed.json(), json!({"name": "web"}));

    let run = user.run(&server.url, &format!("namespaces delete {ID} -o json"));
    let deleted: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(deleted["status"], "deleting");
    assert_eq!(
        server.requests().pop().unwrap().line,
        format!("DELETE /v1/kubernetes/namespaces/{ID}")
    );
}

#[test]
fn a_namespace_that_is_not_there_is_one_sentence() {
    let server = Server::start(account);
    let run = User::signed_in(&server.url).run(&server.url, "namespaces delete web");
    assert_eq!(
        run.stderr,
        "error: there is no namespace `web`; see `remotegpu namespaces list`\n"
    );
    assert_eq!(run.code, 1);
}

#[test]
fn what_a_server_sends_cannot_act_on_the_terminal() {
    let server = Server::start(|_| {
        let list = json!({"items": [item("a\u{1b}]0;x\u{7}\n", "active")], "next_cursor": null});
        (200, list.to_string())
    });
    let user = User::signed_in(&server.url);
    for words in [
        "namespaces list",
        "namespaces list -o name",
        "namespaces list -o json",
    ] {
        let run = user.run(&server.url, words);
        assert!(!run.stdout.contains(['\u{1b}', '\u{7}']), "{run:?}");
    }
}

// C7
#[test]
fn a_server_that_is_not_there_is_one_sentence() {
    let run = User::signed_in("http://127.0.0.1:1").run("http://127.0.0.1:1", "namespaces list");
    assert!(
        run.stderr
            .starts_with("error: no answer from http://127.0.0.1:1: "),
        "{run:?}"
    );
    assert_eq!(run.stderr.lines().count(), 1);
    assert_eq!(run.code, 1);
}
