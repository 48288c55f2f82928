//! `POST /v1/kubernetes/namespaces/{namespace_id}/kubeconfig-token`, and
//! `/v1/account/kubeconfig-tokens`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, Fault, FaultyCluster, Kubectl, Person, Pods, Server, ServerOptions, Stopwatch,
    eventually, time_of,
};

const TOKENS: &str = "/v1/account/kubeconfig-tokens";

fn path(namespace: &Value) -> String {
    let id = namespace["id"].as_str().unwrap();
    format!("/v1/kubernetes/namespaces/{id}/kubeconfig-token")
}

/// A file with a token for the namespace.
async fn made(person: &Person, namespace: &Value) -> Value {
    person.post(&path(namespace), json!({})).await.expect(201)
}

fn token(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

fn item_path(made: &Value) -> String {
    format!("{TOKENS}/{}", made["id"].as_str().unwrap())
}

async fn listed(person: &Person) -> Vec<Value> {
    let list = person.get(TOKENS).await.expect(200);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_opens_its_namespace_and_nothing_else() {
    // T9, X3
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let other = person.namespace("other").await;
    let name = namespace["kubernetes_namespace"].as_str().unwrap();

    let request = person.request(Method::POST, &path(&namespace));
    let answer = Answer::read(request.send().await.unwrap()).await;
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    let wanted = [
        "cluster_role",
        "created_at",
        "created_by",
        "expires_at",
        "filename",
        "id",
        "kubeconfig",
        "namespace",
        "namespace_id",
        "token",
    ];
    assert_eq!(members, wanted);
    assert_eq!(made["namespace"], name);
    assert_eq!(made["namespace_id"], namespace["id"]);
    assert_eq!(made["cluster_role"], "remotegpu:tenant");
    assert_eq!(made["filename"], "kubeconfig-token-team-ml.yaml");
    let lives = time_of(&made["expires_at"]) - time_of(&made["created_at"]);
    assert_eq!(lives, time::Duration::HOUR);

    // Its head says what it is, until when, and what to do with it.
    let yaml = made["kubeconfig"].as_str().unwrap();
    let head: Vec<&str> = yaml
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    let head = head.join("\n");
    for said in [
        "This file holds a secret",
        &made["expires_at"].as_str().unwrap()[..19],
        "chmod 600 kubeconfig-token-team-ml.yaml",
        "$HOME/.kube/config:",
    ] {
        assert!(head.contains(said), "{said} in {head}");
    }
    let file: Value = serde_saphyr::from_str(yaml).unwrap();
    let called = format!("remotegpu-{name}-token");
    assert_eq!(file["current-context"], called);
    assert_eq!(
        file["users"],
        json!([{"name": called, "user": {"token": made["token"]}}])
    );

    // No key, no plugin, no variable.
    let kubectl = Kubectl::new(yaml);
    kubectl.succeed("", &["get", "pods"]);
    kubectl.succeed("", &["create", "secret", "generic", "mine"]);
    let elsewhere = other["kubernetes_namespace"].as_str().unwrap();
    for arguments in [
        &["get", "pods", "-n", elsewhere][..],
        &["get", "pods", "-A"],
        &["create", "token", "default"],
        &["get", "secrets", "-n", "remotegpu-credentials"],
    ] {
        let said = kubectl.fail("", arguments);
        assert!(said.contains("orbidden"), "{arguments:?}: {said}");
    }

    // Merged with the file that has the plugin, which has another context and the same cluster.
    let exec = person.kubeconfig(&namespace, "shell").await;
    let paths = [server.path("exec.yaml"), server.path("token.yaml")];
    std::fs::write(&paths[0], exec).unwrap();
    std::fs::write(&paths[1], yaml).unwrap();
    let merged = std::env::join_paths(&paths).unwrap();
    let key = person.key(json!({"all": true})).await;
    for context in [format!("remotegpu-{name}"), called] {
        let mut command = kubectl.environment(Some(&key.key), "kubectl");
        command.env("KUBECONFIG", &merged);
        let output = command
            .args(["--context", &context, "get", "pods"])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{context}: {output:?}");
    }

    // It is no key: not in their list, not of their number, not to be revoked there.
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
    let id = made["id"].as_str().unwrap();
    for (method, act) in [("PATCH", ""), ("POST", "/revoke"), ("POST", "/rotate")] {
        let path = format!("/v1/account/api-keys/{id}{act}");
        let body = json!({"name": "x"});
        let body = if method == "PATCH" { body } else { json!({}) };
        let answer = person.send(method.parse().unwrap(), &path, body).await;
        answer.problem(404, "api_key_not_found");
    }
    let item = person.get(&item_path(&made)).await.expect(200);
    for secret in ["token", "kubeconfig"] {
        assert_eq!(item.get(secret), None);
    }
    assert_eq!(listed(&person).await, [made["id"].clone()]);
    assert_eq!(item["cluster_role"], "remotegpu:tenant");
    let events = "/v1/account/audit-events?action=kubeconfig_token.issued";
    let events = person.get(events).await.expect(200);
    let event = &events["items"][0];
    assert_eq!(
        event["subject"],
        json!({"type": "kubeconfig_token", "id": id})
    );
    assert!(event["details"]["token_id"].is_string(), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() {
    // T9, C5
    let options = ServerOptions::new(Backend::Sqlite).with("kubeconfig-token-limit", "2");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    for seconds in [json!(599), json!(3601), json!(0), json!(-1)] {
        let body = json!({"expires_in_seconds": seconds});
        let answer = person.post(&path(&namespace), body).await;
        let said = answer.problem(400, "invalid_field");
        assert_eq!(said, "expires_in_seconds must be a number from 600 to 3600");
    }
    for body in [
        json!({"expires_in_seconds": "600"}),
        json!({"expires_in_seconds": null}),
        json!({"name": "x"}),
    ] {
        let answer = person.post(&path(&namespace), body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let short = json!({"expires_in_seconds": 600});
    let short = person.post(&path(&namespace), short).await.expect(201);
    let lives = time_of(&short["expires_at"]) - time_of(&short["created_at"]);
    assert_eq!(lives, time::Duration::minutes(10));

    // Two for each, and each counts its own.
    made(&person, &namespace).await;
    let answer = person.post(&path(&namespace), json!({})).await;
    answer.problem(409, "limit_reached");
    let colleague = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    made(&colleague, &namespace).await;
    person.delete(&item_path(&short)).await.expect(204);
    made(&person, &namespace).await;

    let id = namespace["id"].as_str().unwrap();
    person
        .delete(&format!("/v1/kubernetes/namespaces/{id}"))
        .await
        .expect(202);
    let answer = person.post(&path(&namespace), json!({})).await;
    answer.problem(404, "not_found");
    assert_eq!(listed(&person).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_all_but_secrets_and_an_admin_ends_it() {
    // T9, T4
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let namespace = admin.namespace("team-ml").await;
    let reader = server.colleague(&admin, "reader@example.org", "read").await;
    let writer = server
        .colleague(&admin, "writer@example.org", "write")
        .await;
    let seen = made(&reader, &namespace).await;
    assert_eq!(seen["cluster_role"], "remotegpu:viewer");
    let head = seen["kubeconfig"].as_str().unwrap();
    assert!(head.contains("all but secrets"), "{head}");
    let kubectl = Kubectl::new(seen["kubeconfig"].as_str().unwrap());
    kubectl.succeed("", &["get", "pods"]);
    for arguments in [
        &["get", "secrets"][..],
        &["create", "configmap", "mine"],
        &["create", "deployment", "mine", "--image=x"],
    ] {
        let said = kubectl.fail("", arguments);
        assert!(said.contains("orbidden"), "{arguments:?}: {said}");
    }
    let written = made(&writer, &namespace).await;
    assert_eq!(written["cluster_role"], "remotegpu:tenant");
    Kubectl::new(written["kubeconfig"].as_str().unwrap())
        .succeed("", &["create", "configmap", "mine"]);

    // Each sees their own, an admin all.
    assert_eq!(listed(&reader).await, [seen["id"].clone()]);
    assert_eq!(listed(&writer).await, [written["id"].clone()]);
    let both = [written["id"].clone(), seen["id"].clone()];
    assert_eq!(listed(&admin).await, both, "the newest first");
    for method in [Method::GET, Method::DELETE] {
        let request = reader.request(method, &item_path(&written));
        let answer = Answer::read(request.send().await.unwrap()).await;
        answer.problem(404, "not_found");
    }
    let pods = Pods::of(seen["kubeconfig"].as_str().unwrap(), &namespace);
    assert!(pods.open(token(&seen)).await);
    admin.delete(&item_path(&seen)).await.expect(204);
    is_closed_soon(&pods, token(&seen)).await;
    let again = admin.delete(&item_path(&seen)).await;
    again.problem(404, "not_found");
    assert_eq!(listed(&reader).await, Vec::<Value>::new());
    let events = "/v1/account/audit-events?action=kubeconfig_token.ended";
    let events = admin.get(events).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
}

/// X9: what has ended is refused within a second; the rest is for a busy machine.
async fn is_closed_soon(pods: &Pods, token: &str) {
    let ended = Stopwatch::start();
    while pods.open(token).await {
        assert!(
            !ended.is_over(Duration::from_secs(1)),
            "the token still opens"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_whatever_it_stands_on() {
    // T9, X9
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let namespace = admin.namespace("team-ml").await;
    let account = admin.account_id().await;
    let pods = Pods::of(&admin.kubeconfig(&namespace, "shell").await, &namespace);

    let reset = server.colleague(&admin, "reset@example.org", "write").await;
    let first = made(&reset, &namespace).await;
    assert!(pods.open(token(&first)).await);
    server.admin(&["user", "reset-password", "reset@example.org"]);
    is_closed_soon(&pods, token(&first)).await;

    // Whoever changes their password may not know who else had it.
    let careful = server
        .colleague(&admin, "changes@example.org", "read")
        .await;
    let second = made(&careful, &namespace).await;
    assert!(pods.open(token(&second)).await);
    let body = json!({"current": "password of changes@example.org", "new": "another password"});
    careful.put("/v1/auth/password", body).await.expect(204);
    is_closed_soon(&pods, token(&second)).await;
    assert_eq!(listed(&admin).await, Vec::<Value>::new());
    let events = "/v1/account/audit-events?action=kubeconfig_token.ended";
    let events = admin.get(events).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 2, "{events}");

    // K15, T7: with the role, and with the membership.
    let members = "/v1/account/members";
    for (email, removes) in [
        ("demoted@example.org", false),
        ("removed@example.org", true),
    ] {
        let person = server.colleague(&admin, email, "write").await;
        let file = made(&person, &namespace).await;
        assert!(pods.open(token(&file)).await);
        let all = admin.get(members).await.expect(200);
        let mut all = all["items"].as_array().unwrap().iter();
        let member = all.find(|member| member["email"] == email).unwrap();
        let path = format!("{members}/{}", member["user_id"].as_str().unwrap());
        let changed = if removes {
            admin.delete(&path).await.expect(200)
        } else {
            let role = json!({"role": "read", "take_over_keys": true});
            admin.patch(&path, role).await.expect(200)
        };
        let ended = json!([
            {"type": "kubeconfig_token", "id": file["id"], "name": "team-ml"},
        ]);
        assert_eq!(changed["ended"], ended);
        is_closed_soon(&pods, token(&file)).await;
        if !removes {
            let seen = made(&person, &namespace).await;
            assert_eq!(seen["cluster_role"], "remotegpu:viewer");
            let path = item_path(&seen);
            person.delete(&path).await.expect(204);
        }
    }

    // By the operator: one that is named, and then all.
    let (third, fourth) = (
        made(&admin, &namespace).await,
        made(&admin, &namespace).await,
    );
    let ids = server.path("ids");
    std::fs::write(&ids, third["id"].as_str().unwrap()).unwrap();
    let ids = ids.to_str().unwrap();
    let counted = server.admin(&["end-all", "kubeconfig-tokens", "--ids", ids]);
    assert!(
        counted.contains("would end 1 kubeconfig token"),
        "{counted}"
    );
    assert!(pods.open(token(&third)).await);
    server.admin(&["end-all", "keys", "--ids", ids, "--yes"]);
    assert!(pods.open(token(&third)).await, "it is no key");
    server.admin(&["end-all", "kubeconfig-tokens", "--ids", ids, "--yes"]);
    is_closed_soon(&pods, token(&third)).await;
    assert!(pods.open(token(&fourth)).await);
    server.admin(&[
        "end-all",
        "kubeconfig-tokens",
        "--account",
        &account,
        "--yes",
    ]);
    is_closed_soon(&pods, token(&fourth)).await;

    let fifth = made(&admin, &namespace).await;
    assert!(pods.open(token(&fifth)).await);
    server.admin(&["account", "suspend", &account]);
    is_closed_soon(&pods, token(&fifth)).await;
    server.admin(&["account", "resume", &account]);
    let admin = server.operator().await;
    assert_eq!(listed(&admin).await, Vec::<Value>::new());

    let sixth = made(&admin, &namespace).await;
    assert!(pods.open(token(&sixth)).await);
    let id = namespace["id"].as_str().unwrap();
    let gone = format!("/v1/kubernetes/namespaces/{id}");
    admin.delete(&gone).await.expect(202);
    is_closed_soon(&pods, token(&sixth)).await;
    assert_eq!(listed(&admin).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_where_the_cluster_gives_no_token() {
    // T9, C7
    let mut cluster = FaultyCluster::start().await;
    let server = Server::start_with(cluster.options(Backend::Sqlite)).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    for (fault, code) in [
        (Fault::NoExpiration, "token_without_expiration"),
        (Fault::FarExpiration, "cluster_unavailable"),
        // The last one: a cluster that was silent is asked for nothing until it is up again.
        (Fault::Hang, "cluster_unavailable"),
    ] {
        cluster.proxy.set(fault).await;
        let answer = person.post(&path(&namespace), json!({})).await;
        answer.problem(503, code);
        assert_eq!(listed(&person).await, Vec::<Value>::new(), "{fault:?}");
    }
    cluster.proxy.set(Fault::None).await;
    eventually(
        "files are made again",
        Duration::from_secs(20),
        async || {
            let answer = person.post(&path(&namespace), json!({})).await;
            answer.status == 201
        },
    )
    .await;
    assert_eq!(listed(&person).await.len(), 1);
    // What was begun and came to nothing goes from the cluster too.
    let admin = Kubectl::new(&cluster.cluster.admin_kubeconfig());
    let accounts = [
        "get",
        "serviceaccounts",
        "-n",
        "remotegpu-credentials",
        "-o",
        "name",
    ];
    eventually(
        "one identity is left",
        Duration::from_secs(20),
        async || {
            let found = admin.succeed("", &accounts);
            found.lines().filter(|name| name.contains("/key-")).count() == 1
        },
    )
    .await;
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"], json!([]));
}
