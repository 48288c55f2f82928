//! `POST /v1/account/access-tokens`

use serde_json::{Value, json};

use super::{PATH, TwoClusters, create, token_path};
use crate::support::{Backend, KeyHolder, Server, ServerOptions, in_millis, time_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_and_its_file_are_in_the_answer_that_made_them_and_nowhere_else() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let body = json!({
        "name": " laptop ", "note": " my own ", "clusters": ["dev"], "expires_in_seconds": 3600,
    });
    let answer = person.post(PATH, body).await;
    let made = answer.expect(201);
    // T5
    insta::assert_json_snapshot!("created", made, {
        ".id" => "[id]",
        ".token" => "[token]",
        ".prefix" => "[prefix]",
        ".filename" => "[filename]",
        ".kubeconfig" => "[kubeconfig]",
        ".created_at" => "[time]",
        ".created_by" => "[id]",
        ".expires_at" => "[time]",
    });
    assert_eq!(answer.header("cache-control"), Some("no-store"), "C3");
    // T5, K3
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("rgat_") && token.len() == 41);
    assert!(token[5..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(made["prefix"], token[..13]);
    // T2
    let id = made["id"].as_str().unwrap();
    let hash = id.strip_prefix("cwtoken-").unwrap();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    assert!(hash.len() == 10 && hash.chars().all(fits), "{id}");
    assert_eq!(made["filename"], format!("CWKubeconfig_{id}-laptop"));
    assert!(made["kubeconfig"].as_str().unwrap().contains(token));
    let span = time_of(&made["expires_at"]) - time_of(&made["created_at"]);
    assert_eq!(span, time::Duration::HOUR);
    let session = person.get("/v1/auth/session").await.expect(200);
    assert_eq!(made["created_by"], session["user"]["id"]);
    // T1: neither is ever shown again.
    let mut item = made.clone();
    for secret in ["token", "filename", "kubeconfig"] {
        item.as_object_mut().unwrap().remove(secret);
    }
    let list = person.get(PATH).await;
    assert_eq!(list.expect(200)["items"], json!([item]));
    let one = person.get(&token_path(&made["id"])).await;
    assert_eq!(one.expect(200), item);
    assert!(!list.text.contains(token) && !one.text.contains(token));
    // R5
    let path = "/v1/account/audit-events?action=access_token.issued";
    let events = person.get(path).await.expect(200);
    let event = &events["items"][0];
    assert_eq!(event["subject"]["type"], "access_token");
    assert_eq!(event["details"]["token_id"], made["id"]);
    assert_eq!(event["details"]["prefix"], made["prefix"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_clusters_and_nothing_else() {
    // T5, A3
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let made = create(&person, "laptop", &["dev"]).await.expect(201);
    let token = made["token"].as_str().unwrap();
    let mut with_token = person.clone();
    with_token.session_token = token.to_owned();
    for path in ["/v1/auth/session", PATH, "/v1/kubernetes/namespaces"] {
        let answer = with_token.get(path).await;
        answer.problem(401, "invalid_access_token");
    }
    let holder = KeyHolder::new(&server.url, json!({"id": "x", "key": token}));
    holder
        .get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    holder
        .mint(&namespace)
        .await
        .problem(401, "invalid_api_key");
    let answer = with_token.get("/v1/auth/key").await;
    answer.problem(401, "missing_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_all_at_once() {
    // T5, C2
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let foreign = server.person("bob").await.namespace("of-bob").await;
    let refused = async |body: Value, code: &str| {
        let answer = person.post(PATH, body).await;
        let detail = answer.problem(400, code);
        let errors = answer.json()["errors"].clone();
        let fields = errors.as_array().unwrap().iter();
        let fields: Vec<String> = fields
            .map(|error| format!("{} {}", error["field"], error["message"]).replace('"', ""))
            .collect();
        (detail, fields.join(", "))
    };
    let (detail, fields) = refused(json!({}), "invalid_field").await;
    assert_eq!(detail, "name is required");
    assert_eq!(
        fields,
        "name is required, clusters is required, \
         expires_in_seconds or expires_at is required"
    );
    let all = json!({
        "name": "", "note": "a\nb", "clusters": ["nowhere", "dev", "Dev"],
        "namespace_id": "no-identifier", "expires_at": "1970-01-01T00:00:00Z",
    });
    let (detail, fields) = refused(all, "invalid_field").await;
    assert_eq!(detail, "name must have 1 to 64 characters");
    assert_eq!(
        fields,
        "name must have 1 to 64 characters, \
         note must not contain control characters, line separators or bidirectional controls, \
         clusters[0] is not known, clusters[2] is not known, \
         namespace_id must be a namespace of this account, \
         expires_at must be in the future"
    );
    let good = json!({"name": "x", "clusters": ["dev"], "expires_in_seconds": 60});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, code, said) in [
        (
            with("clusters", json!([])),
            "invalid_field",
            "clusters must name 1 to 100 clusters",
        ),
        (
            with("clusters", json!("dev")),
            "invalid_field",
            "clusters must be a list of names of clusters",
        ),
        (
            with("clusters", Value::Null),
            "invalid_field",
            "clusters must be a list of names of clusters",
        ),
        (
            with("clusters", json!(vec!["dev"; 101])),
            "invalid_field",
            "clusters must name 1 to 100 clusters",
        ),
        (
            with("clusters", json!(["nowhere"])),
            "cluster_unknown",
            "There is no such cluster",
        ),
        (
            with("note", json!("x".repeat(257))),
            "invalid_field",
            "note must have at most 256 characters",
        ),
        (
            with("namespace_id", foreign["id"].clone()),
            "foreign_namespace",
            "namespace_id must be a namespace of this account",
        ),
        (
            with("expires_in_seconds", json!(0)),
            "invalid_field",
            "expires_in_seconds must be at least 1",
        ),
        (
            with("expires_in_seconds", json!(-5)),
            "invalid_field",
            "expires_in_seconds must be at least 1",
        ),
        (
            with("expires_in_seconds", json!(1.5)),
            "invalid_field",
            "expires_in_seconds must be a whole number",
        ),
        (
            with("expires_in_seconds", Value::Null),
            "invalid_field",
            "expires_in_seconds must be a whole number",
        ),
        (
            with("expires_at", Value::Null),
            "invalid_field",
            "expires_at must be a string",
        ),
        (
            with("expires_at", json!("2999-01-01T00:00:00Z")),
            "invalid_field",
            "expires_at must not stand beside expires_in_seconds",
        ),
        (
            with("colour", json!("red")),
            "invalid_field",
            "colour is not known",
        ),
    ] {
        let (detail, _) = refused(body, code).await;
        assert_eq!(detail, said);
    }
    let answer = person.post(&format!("{PATH}?names=mine"), good).await;
    let detail = answer.problem(400, "invalid_field");
    assert_eq!(detail, "names must be reference or unique");
    assert_eq!(person.get(PATH).await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_folded_and_a_namespace_stands_in_one_of_them() {
    // T3, T5
    let two = TwoClusters::start(&[]).await;
    let person = two.server.operator().await;
    let made = create(&person, "laptop", &["ams2", "fra1", "ams2"]).await;
    assert_eq!(made.expect(201)["clusters"], json!(["ams2", "fra1"]));
    let body = json!({"name": "team-ml", "cluster": "fra1"});
    let namespace = person.post("/v1/kubernetes/namespaces", body).await;
    let namespace = namespace.expect(201);
    let with = |clusters: &[&str]| {
        json!({
            "name": "x", "clusters": clusters, "namespace_id": namespace["id"],
            "expires_in_seconds": 60,
        })
    };
    person.post(PATH, with(&["ams2", "fra1"])).await.expect(201);
    let elsewhere = person.post(PATH, with(&["ams2"])).await;
    let detail = elsewhere.problem(400, "invalid_field");
    assert_eq!(detail, "namespace_id must stand in one of the clusters");
    // One that is being deleted is gone.
    let id = namespace["id"].as_str().unwrap();
    let path = format!("/v1/kubernetes/namespaces/{id}");
    person.delete(&path).await.expect(202);
    let gone = person.post(PATH, with(&["fra1"])).await;
    gone.problem(400, "foreign_namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_and_lasts_no_longer_than_the_operator_allows() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let with = |name: &str, value: Value| json!({"name": "x", "clusters": ["dev"], name: value});
    let year = 365 * 24 * 3600;
    person
        .post(PATH, with("expires_in_seconds", json!(year)))
        .await
        .expect(201);
    for (name, value) in [
        ("expires_in_seconds", json!(year + 1)),
        ("expires_at", json!("9999-12-31T23:59:59Z")),
    ] {
        let answer = person.post(PATH, with(name, value)).await;
        let detail = answer.problem(400, "invalid_field");
        assert_eq!(detail, format!("{name} must be at most 365 days away"));
    }
    let at = in_millis(60_000);
    person
        .post(PATH, with("expires_at", json!(at)))
        .await
        .expect(201);
    let past = person
        .post(PATH, with("expires_at", json!(in_millis(-1))))
        .await;
    past.problem(400, "expiry_not_in_future");

    let options = ServerOptions::new(Backend::Sqlite)
        .with("access-tokens-never-expire", "true")
        .with("access-token-max-days", "1");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let lasting = json!({"name": "x", "clusters": ["dev"]});
    let made = person.post(PATH, lasting).await.expect(201);
    assert_eq!(made["expires_at"], Value::Null);
    let day = 24 * 3600;
    person
        .post(PATH, with("expires_in_seconds", json!(day)))
        .await
        .expect(201);
    let longer = person
        .post(PATH, with("expires_in_seconds", json!(day + 1)))
        .await;
    let detail = longer.problem(400, "invalid_field");
    assert_eq!(detail, "expires_in_seconds must be at most 1 days away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_twenty_active_ones() {
    // T10: each user of an account for themselves.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let reader = server.colleague(&person, "ro@example.org", "read").await;
    for n in 0..20 {
        create(&person, &format!("token {n}"), &["dev"])
            .await
            .expect(201);
    }
    create(&person, "one more", &["dev"])
        .await
        .problem(409, "limit_reached");
    // A reader may have their own (T5).
    create(&reader, "own", &["dev"]).await.expect(201);
    let items = person.get(PATH).await.expect(200)["items"].clone();
    let mine = items
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["name"] == "token 3");
    person
        .delete(&token_path(&mine.unwrap()["id"]))
        .await
        .expect(204);
    create(&person, "one more", &["dev"]).await.expect(201);
}
