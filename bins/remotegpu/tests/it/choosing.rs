//! Which one a person means.

use serde_json::{Value, json};

use crate::keys::KEY;
use crate::server::Server;
use crate::user::User;

const A: &str = "0198c0de-0000-7000-8000-00000000000a";
const B: &str = "0198c0de-0000-7000-8000-00000000000b";
const C: &str = "0198c0de-0000-7000-8000-00000000000c";

/// One is called as another's id, and one as nobody's. A key is called as another's prefix.
fn server() -> Server {
    Server::start(|request| {
        let list = |items: Value| {
            (
                200,
                json!({"items": items, "next_cursor": null}).to_string(),
            )
        };
        let item = |name: &str, id: &str, prefix: &str| {
            json!({
                "id": id, "name": name, "prefix": prefix, "status": "active", "key": KEY,
                "scopes": {"all": true}, "filename": "x.yaml", "kubeconfig": "kind: Config\n",
            })
        };
        if !request.line.starts_with("GET ") || request.line.contains("/kubeconfig") {
            return (200, item("x", A, "rgpu_xxxxxxxx").to_string());
        }
        list(json!([
            item("team-ml", A, "rgpu_aaaaaaaa"),
            item(A, B, "rgpu_bbbbbbbb"),
            item("0198c0de-0000-7000-8000-0000000000ff", C, "rgpu_cccccccc"),
            item(
                "rgpu_cccccccc",
                "0198c0de-0000-7000-8000-00000000000d",
                "rgpu_dddddddd"
            ),
        ]))
    })
}

// C4
#[test]
fn what_is_a_name_and_an_id_is_refused_until_somebody_says_which() {
    let server = server();
    let user = User::signed_in(&server.url);
    for command in [
        "namespaces delete",
        "kubeconfig --force",
        "keys revoke",
        "keys rotate",
    ] {
        let done = user.run(&server.url, &format!("{command} {A}"));
        assert_eq!(done.code, 1, "{done:?}");
        for shown in [format!("by id: team-ml  {A}"), format!("by name: {A}  {B}")] {
            assert!(done.stderr.contains(&shown), "{done:?}");
        }
        assert!(
            done.stderr.ends_with("Say which with --name or --id.\n"),
            "{done:?}"
        );
        for (flag, id) in [("--id", A), ("--name", B)] {
            let done = user.run(&server.url, &format!("{command} {A} {flag}"));
            assert_eq!(done.code, 0, "{done:?}");
            let line = server.requests().pop().unwrap().line;
            assert!(line.contains(id), "{command} {flag}: {line}");
        }
        // What is one thing alone is that, whatever it looks like.
        for (named, id) in [("0198c0de-0000-7000-8000-0000000000ff", C), (C, C), (B, B)] {
            let done = user.run(&server.url, &format!("{command} {named}"));
            assert_eq!(done.code, 0, "{done:?}");
            let line = server.requests().pop().unwrap().line;
            assert!(line.contains(id), "{command} {named}: {line}");
        }
        let done = user.run(&server.url, &format!("{command} {A} --id --name"));
        assert_eq!(done.code, 2, "{done:?}");
    }
    let done = user.run(&server.url, "keys revoke rgpu_cccccccc");
    assert!(done.stderr.contains("by prefix: "), "{done:?}");
}

// C4
#[test]
fn namespaces_of_a_key_are_named_the_same_way() {
    let server = server();
    let user = User::signed_in(&server.url);
    let done = user.run(&server.url, &format!("keys create a --namespace {A}"));
    assert!(
        done.stderr.ends_with("Say which with --namespace-id.\n"),
        "{done:?}"
    );
    for (words, ids) in [
        (format!("--namespace-id {A}"), vec![A]),
        (
            format!("--namespace-id {A},{C} --namespace-id {B}"),
            vec![A, C, B],
        ),
        ("--namespace team-ml".to_owned(), vec![A]),
    ] {
        let done = user.run(&server.url, &format!("keys create a {words}"));
        assert_eq!(done.code, 0, "{done:?}");
        let sent = server.requests().pop().unwrap().json();
        assert_eq!(
            sent["scopes"]["kubernetes_exec"]["namespace_ids"],
            json!(ids)
        );
    }
    let done = user.run(
        &server.url,
        &format!("keys update team-ml --namespace-id {A} --id"),
    );
    assert_eq!(done.code, 1, "{done:?}");
    let done = user.run(&server.url, &format!("keys update {A} --name new --id"));
    assert_eq!(done.code, 0, "{done:?}");
}

// C4, K7
#[test]
fn what_is_not_there_is_a_sentence_that_says_where_to_look() {
    let server = server();
    let user = User::signed_in(&server.url);
    let nobody = "0198c0de-0000-7000-8000-000000000099";
    for (words, noun, list) in [
        (
            format!("namespaces delete {nobody}"),
            "namespace",
            "remotegpu namespaces list",
        ),
        (
            format!("kubeconfig {nobody}"),
            "namespace",
            "remotegpu namespaces list",
        ),
        (
            format!("keys create a --namespace {nobody}"),
            "namespace",
            "remotegpu namespaces list",
        ),
        (
            format!("keys revoke {nobody}"),
            "API key",
            "remotegpu keys list",
        ),
        (
            format!("keys update {nobody} --all"),
            "API key",
            "remotegpu keys list",
        ),
    ] {
        let done = user.run(&server.url, &words);
        assert_eq!(done.code, 1);
        let sentence = format!("error: there is no {noun} `{nobody}`; see `{list}`\n");
        assert_eq!(done.stderr, sentence);
    }
}

// K2
#[test]
fn a_whole_key_names_its_key_and_is_never_echoed() {
    let server = server();
    let user = User::signed_in(&server.url);
    for words in ["keys revoke", "keys update --all", "keys rotate"] {
        let done = user.run(&server.url, &format!("{words} {KEY}"));
        assert_eq!(done.code, 0, "{done:?}");
        let last = server.requests().pop().unwrap();
        assert!(last.line.contains(A), "{}", last.line);
        assert!(!last.line.contains(KEY) && !last.body.contains(KEY));
    }
}
