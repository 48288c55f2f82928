//! `scopes` in `POST` and `PATCH /v1/account/api-keys`

use serde_json::json;
use uuid::Uuid;

use super::{PATH, key_path};
use crate::support::{Answer, Backend, Person, Server};

/// What creating and what changing a key answer to these scopes, as text.
async fn both(person: &Person, patch: &str, scopes: &str) -> [Answer; 2] {
    let send = async |method: &str, path: &str, body: String| {
        let request = person.request(method.parse().unwrap(), path);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        Answer::read(request.send().await.unwrap()).await
    };
    [
        send("POST", PATH, format!(r#"{{"name":"x","scopes":{scopes}}}"#)).await,
        send("PATCH", patch, format!(r#"{{"scopes":{scopes}}}"#)).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_have_exactly_three_modes() {
    let options = crate::support::ServerOptions::new(Backend::Sqlite).with("key-limit", "1000");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let (one, two) = (person.namespace("one").await, person.namespace("two").await);
    let (one, two) = (one["id"].as_str().unwrap(), two["id"].as_str().unwrap());
    let key = person.key(json!({"all": true})).await;
    let patch = key_path(key.id(), "");
    let listed = |ids: &[&str]| json!({"kubernetes_exec": {"namespace_ids": ids}});
    // K9 [S], K1, K11: taken, and shown in canonical form.
    for (given, shown) in [
        (json!({"all": true}), json!({"all": true})),
        (json!({"inference": true}), json!({"inference": true})),
        (
            json!({"inference": true, "all": false}),
            json!({"inference": true}),
        ),
        (
            json!({"kubernetes_exec": {"all_namespaces": true, "namespace_ids": []}}),
            json!({"kubernetes_exec": {"all_namespaces": true}}),
        ),
        (
            json!({"kubernetes_exec": {"all_namespaces": false, "namespace_ids": [one]}}),
            listed(&[one]),
        ),
        (listed(&[two, one, two]), listed(&[one, two])),
        (listed(&[&one.to_uppercase(), one]), listed(&[one])),
        (listed(&[one; 100]), listed(&[one])),
    ] {
        let [created, changed] = both(&person, &patch, &given.to_string()).await;
        assert_eq!(created.expect(201)["scopes"], shown, "{given}");
        assert_eq!(changed.expect(200)["scopes"], shown, "{given}");
        assert_eq!(super::item(&person, key.id()).await["scopes"], shown);
        assert_eq!(key.get("/v1/auth/key").await.expect(200)["scopes"], shown);
    }
    // K14: when it was used is written down a moment later.
    let without_use = async || {
        let mut item = super::item(&person, key.id()).await;
        item.as_object_mut().unwrap().remove("last_used_at");
        item
    };
    let before = without_use().await;

    // K10 [S], K11: refused with these very words.
    let one_id = format!(r#"{{"namespace_ids":["{one}"]}}"#);
    let exec = |inner: &str| format!(r#"{{"kubernetes_exec":{inner}}}"#);
    let hundred_and_one = json!({"namespace_ids": vec![one; 101]}).to_string();
    for (scopes, detail) in [
        ("{}".to_owned(), "At least one explicit scope is required"),
        (
            r#"{"all":false}"#.to_owned(),
            "At least one explicit scope is required",
        ),
        (
            format!(r#"{{"inference":true,"kubernetes_exec":{one_id}}}"#),
            "Explicit mixed scopes are not supported",
        ),
        (
            r#"{"all":true,"inference":true}"#.to_owned(),
            "all cannot be combined with other scope fields",
        ),
        (
            format!(r#"{{"all":true,"kubernetes_exec":{one_id}}}"#),
            "all cannot be combined with other scope fields",
        ),
        (
            exec(r#"{"namespace_ids":[]}"#),
            "At least one namespace ID is required unless all_namespaces is true",
        ),
        (
            exec("{}"),
            "At least one namespace ID is required unless all_namespaces is true",
        ),
        (
            exec(r#"{"all_namespaces":false}"#),
            "At least one namespace ID is required unless all_namespaces is true",
        ),
        (
            exec(&format!(
                r#"{{"all_namespaces":true,"namespace_ids":["{one}"]}}"#
            )),
            "all_namespaces cannot be combined with namespace_ids",
        ),
        (
            r#"{"all":"true"}"#.to_owned(),
            "scopes.all must be true or false",
        ),
        (
            r#"{"all":1}"#.to_owned(),
            "scopes.all must be true or false",
        ),
        (
            r#"{"inference":null}"#.to_owned(),
            "scopes.inference must be true or false",
        ),
        (
            r#"{"all":true,"all":true}"#.to_owned(),
            "scopes.all stands more than once",
        ),
        (
            r#"{"everything":true}"#.to_owned(),
            "scopes.everything is not known",
        ),
        (
            r#"{"all":true,"inference":true,"x":1}"#.to_owned(),
            "scopes.x is not known",
        ),
        (exec("[]"), "scopes.kubernetes_exec must be an object"),
        (
            exec(&hundred_and_one),
            "At most 100 namespace IDs can be listed",
        ),
        ("[]".to_owned(), "scopes must be an object"),
        ("null".to_owned(), "scopes must be an object"),
    ] {
        for answer in both(&person, &patch, &scopes).await {
            assert_eq!(answer.problem(400, "invalid_scopes"), detail, "{scopes}");
        }
    }
    assert_eq!(without_use().await, before, "a refusal changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_name_living_namespaces_of_the_own_account() {
    // K12 [S], C2
    let server = Server::start(Backend::Sqlite).await;
    let (person, bob) = (server.operator().await, server.person("bob").await);
    let (own, his) = (person.namespace("own").await, bob.namespace("his").await);
    let (own_id, his_id) = (own["id"].as_str().unwrap(), his["id"].as_str().unwrap());
    let key = person
        .key(json!({"kubernetes_exec": {"namespace_ids": [own_id]}}))
        .await;
    let patch = key_path(key.id(), "");
    let random = Uuid::new_v4().to_string();
    let mut answers = Vec::new();
    for id in [his_id, &random, "nonsense", ""] {
        let scopes = json!({"kubernetes_exec": {"namespace_ids": [own_id, id]}});
        for answer in both(&person, &patch, &scopes.to_string()).await {
            let detail = answer.problem(400, "foreign_namespace");
            assert_eq!(
                detail,
                "Every namespace ID must be a namespace of this account"
            );
            let error = json!({
                "field": "scopes.kubernetes_exec.namespace_ids[1]",
                "message": "is not a namespace of this account",
            });
            assert_eq!(answer.json()["errors"], json!([error]));
            assert!(!answer.text.contains(&random) && !answer.text.contains(his_id));
            answers.push(answer.without_request_id());
        }
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );

    // The id of a deleted namespace stays in the item and opens nothing.
    let namespace = format!("/v1/kubernetes/namespaces/{own_id}");
    person.delete(&namespace).await.expect(202);
    let scopes = json!({"kubernetes_exec": {"namespace_ids": [own_id]}});
    key.mint(&own).await.problem(403, "exec_not_allowed");
    for answer in both(&person, &patch, &scopes.to_string()).await {
        answer.problem(400, "foreign_namespace");
    }
    let renamed = person
        .patch(&patch, json!({"name": "renamed"}))
        .await
        .expect(200);
    assert_eq!(
        renamed["scopes"], scopes,
        "a PATCH without scopes never judges them"
    );
}
