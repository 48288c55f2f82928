//! `/v1/kubernetes/namespaces` and `/v1/kubernetes/namespaces/{namespace_id}`

use std::time::Duration;

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Answer, Backend, Person, Server, ServerOptions, client, eventually, in_millis, time_of,
};

const PATH: &str = "/v1/kubernetes/namespaces";

fn path(namespace: &Value) -> String {
    format!("{PATH}/{}", namespace["id"].as_str().unwrap())
}

async fn create(person: &Person, name: &str) -> Answer {
    person.post(PATH, json!({"name": name})).await
}

/// The namespace in the account's list.
async fn listed(person: &Person, namespace: &Value) -> Option<Value> {
    let page = person.get(&format!("{PATH}?limit=200")).await.expect(200);
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .find(|item| item["id"] == namespace["id"])
        .cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made_renamed_and_deleted() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let empty = person.get(PATH).await.expect(200);
    assert_eq!(empty, json!({"items": [], "next_cursor": null}));
    // N1 [S], N3, N5
    let made = create(&person, "team-ml").await.expect(201);
    insta::assert_json_snapshot!("created", made, {
        ".id" => "[id]",
        ".kubernetes_namespace" => "[kubernetes_namespace]",
        ".created_at" => "[time]",
        ".updated_at" => "[time]",
    });
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7, "C4");
    let age = time_of(&in_millis(0).into()) - time_of(&made["created_at"]);
    assert!((0..30).contains(&age.whole_seconds()), "{made}");
    // N4
    let name = made["kubernetes_namespace"].as_str().unwrap();
    let suffix = name.strip_prefix("team-ml-").unwrap();
    assert_eq!(suffix.len(), 6);
    assert!(
        suffix
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')),
        "{name}"
    );
    assert_eq!(listed(&person, &made).await.unwrap(), made);

    // N4 [S]: it can be renamed, and then others may have the old name.
    let renamed = person
        .patch(&path(&made), json!({"name": "team-nlp"}))
        .await
        .expect(200);
    let mut wanted = made.clone();
    wanted["name"] = "team-nlp".into();
    wanted["updated_at"] = renamed["updated_at"].clone();
    assert_eq!(renamed, wanted);
    assert!(time_of(&renamed["updated_at"]) >= time_of(&made["updated_at"]));
    person
        .patch(&path(&made), json!({"name": "team-nlp"}))
        .await
        .expect(200);
    let second = create(&person, "team-ml").await.expect(201);
    assert_ne!(second["kubernetes_namespace"], made["kubernetes_namespace"]);

    // N3: unique within the account until it has left the list.
    let taken = "The account already has a namespace of this name";
    assert_eq!(
        create(&person, "team-ml").await.problem(409, "name_taken"),
        taken
    );
    let answer = person.patch(&path(&made), json!({"name": "team-ml"})).await;
    assert_eq!(answer.problem(409, "name_taken"), taken);

    // C4: newest first, in pages.
    let first = person.get(&format!("{PATH}?limit=1")).await.expect(200);
    assert_eq!(first["items"][0]["id"], second["id"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = person
        .get(&format!("{PATH}?limit=1&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(next["items"][0]["id"], made["id"]);
    assert!(next["next_cursor"].is_null());
    person
        .get(&format!("{PATH}?limit=201"))
        .await
        .problem(400, "invalid_field");

    // N5, N6: deleted at once for everybody, and gone when the cluster let go.
    let key = person.key(json!({"all": true})).await;
    key.mint(&second).await.expect(200);
    let request = person
        .request(reqwest::Method::DELETE, &path(&second))
        .body("ignored");
    let deleted = Answer::read(request.send().await.unwrap())
        .await
        .expect(202);
    assert_eq!(deleted["status"], "deleting");
    assert_eq!(deleted["id"], second["id"]);
    key.mint(&second).await.problem(403, "exec_not_allowed");
    person
        .get(&format!("{}/kubeconfig", path(&second)))
        .await
        .problem(404, "not_found");
    person
        .patch(&path(&second), json!({"name": "x"}))
        .await
        .problem(404, "not_found");
    eventually(
        "the namespace leaves the list",
        Duration::from_secs(15),
        async || listed(&person, &second).await.is_none(),
    )
    .await;
    person
        .delete(&path(&second))
        .await
        .problem(404, "not_found");
    let third = create(&person, "team-ml").await.expect(201);
    assert_ne!(
        third["kubernetes_namespace"],
        second["kubernetes_namespace"]
    );
    key.mint(&third).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_of_a_namespace_is_told_why() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let made = person.namespace("own").await;
    // N2 [S]
    for (name, sentence) in [
        (json!(""), "name must not be empty"),
        (
            json!("x".repeat(64)),
            "name must have at most 63 characters",
        ),
        (
            json!("Team"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!("a_b"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!("a.b"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!("ä"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!(" a"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!("a\n"),
            "name must consist of lowercase letters, digits and hyphens",
        ),
        (
            json!("-a"),
            "name must begin and end with a letter or digit",
        ),
        (
            json!("a-"),
            "name must begin and end with a letter or digit",
        ),
        (json!("all"), "name must not be the reserved name all"),
        (
            json!("default"),
            "name must not be the reserved name default",
        ),
        (
            json!("kube-system"),
            "name must not begin with kube-, which Kubernetes reserves",
        ),
        (json!(7), "name must be a string"),
        (Value::Null, "name must be a string"),
    ] {
        let body = json!({"name": name});
        for answer in [
            person.post(PATH, body.clone()).await,
            person.patch(&path(&made), body).await,
        ] {
            assert_eq!(answer.problem(400, "invalid_field"), sentence);
            assert_eq!(answer.json()["errors"][0]["field"], "name");
        }
    }
    // N3, C1
    for cluster in ["nowhere", "", "DEV", "../dev"] {
        let answer = person
            .post(PATH, json!({"name": "x", "cluster": cluster}))
            .await;
        assert_eq!(
            answer.problem(400, "cluster_unknown"),
            "There is no such cluster"
        );
    }
    person
        .post(PATH, json!({"name": "x", "cluster": null}))
        .await
        .problem(400, "invalid_field");
    person
        .post(PATH, json!({"name": "x", "id": "y"}))
        .await
        .problem(400, "invalid_field");
    person
        .post(PATH, json!({}))
        .await
        .problem(400, "invalid_field");
    person
        .patch(&path(&made), json!({"cluster": "dev"}))
        .await
        .problem(400, "invalid_field");
    person
        .patch(&path(&made), json!({}))
        .await
        .problem(400, "invalid_body");
    assert_eq!(
        person.get(PATH).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // N4: the longest is cut.
    let longest = format!("{}-{}", "x".repeat(55), "y".repeat(7));
    let made = person
        .post(PATH, json!({"name": longest, "cluster": "dev"}))
        .await
        .expect(201);
    let name = made["kubernetes_namespace"].as_str().unwrap();
    assert_eq!(name.len(), 62);
    assert_eq!(&name[..56], format!("{}-", "x".repeat(55)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_reads_makes_and_changes_no_namespaces() {
    // A11, C5, A1
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let made = person.namespace("own").await;
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    assert_eq!(
        reader.get(PATH).await.expect(200)["items"][0]["id"],
        made["id"]
    );
    reader
        .get(&format!("{}/kubeconfig", path(&made)))
        .await
        .expect(200);
    create(&reader, "x").await.problem(403, "role_too_small");
    reader
        .post(PATH, json!({"nonsense": 1}))
        .await
        .problem(403, "role_too_small");
    reader
        .patch(&path(&made), json!({"name": "x"}))
        .await
        .problem(403, "role_too_small");
    reader
        .delete(&path(&made))
        .await
        .problem(403, "role_too_small");
    reader
        .delete(&format!("{PATH}/unknown"))
        .await
        .problem(403, "role_too_small");
    // C5, C6: existence before the body.
    for id in [&Uuid::new_v4().to_string(), "nonsense", "%FF"] {
        let path = format!("{PATH}/{id}");
        let answers = [
            person.patch(&path, json!({"nonsense": 1})).await,
            person.delete(&path).await,
            person
                .get(&format!("{path}/kubeconfig?plugin=nonsense"))
                .await,
        ];
        for answer in answers {
            answer.problem(404, "not_found");
        }
    }
}

async fn the_limit_is_exact(backend: Backend) {
    // N3
    let options = ServerOptions::new(backend).with("namespace-limit", "3");
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let names: Vec<String> = (0..6).map(|n| format!("ns-{n}")).collect();
    let tries = names.iter().map(|name| create(&person, name));
    let answers = futures_util::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(made.len(), 3, "{refused:?}");
    for answer in &refused {
        let detail = answer.problem(409, "namespace_limit");
        assert_eq!(detail, "The account's limit of namespaces is reached");
    }
    // One name is taken once, however many ask at a time.
    let other = server.person("other").await;
    let tries = (0..5).map(|_| create(&other, "same"));
    let answers = futures_util::future::join_all(tries).await;
    let refused = answers.iter().filter(|answer| !answer.status.is_success());
    let mut taken = 0;
    for answer in refused {
        answer.problem(409, "name_taken");
        taken += 1;
    }
    assert_eq!(taken, 4);
    // One that is being deleted counts until it has left.
    person.delete(&path(&made[0].json())).await.expect(202);
    eventually("there is room again", Duration::from_secs(15), async || {
        create(&person, "again").await.status.is_success()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_namespaces_is_exact_on_sqlite() {
    the_limit_is_exact(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_namespaces_is_exact_on_postgresql() {
    the_limit_is_exact(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_come_and_go_while_their_cluster_is_down() {
    // C7, N5, N6
    let mut server = Server::start(Backend::Postgres).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    let before = person.namespace("before").await;
    let goes = person.namespace("goes").await;
    key.mint(&before).await.expect(200);
    let cluster = server.dev_cluster.take().unwrap();
    let address = cluster.local_addr();
    cluster.stop().await;
    let state = async || {
        let clusters = person.get("/v1/kubernetes/clusters").await.expect(200);
        clusters["items"][0]["status"].as_str().unwrap().to_owned()
    };
    eventually(
        "the cluster is known to be down",
        Duration::from_secs(20),
        async || state().await == "unavailable",
    )
    .await;

    // R4: the instance stays ready.
    let ready = client()
        .get(format!("{}/readyz", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    let down = key.mint(&before).await;
    down.problem(503, "cluster_unavailable");
    assert!(down.header("retry-after").is_some(), "C7");
    let waits = create(&person, "waits").await.expect(201);
    assert_eq!(waits["status"], "provisioning");
    let kubeconfig = person.get(&format!("{}/kubeconfig", path(&waits))).await;
    assert_eq!(
        kubeconfig.problem(409, "namespace_not_ready"),
        "The namespace is not ready yet"
    );
    let odd = person
        .get(&format!("{}/kubeconfig?plugin=bash", path(&waits)))
        .await;
    assert_eq!(
        odd.problem(400, "invalid_field"),
        "plugin must be shell or remotegpu"
    );
    let renamed = person.patch(&path(&waits), json!({"name": "x"})).await;
    assert_eq!(
        renamed.problem(409, "namespace_not_ready"),
        "The namespace is not ready yet"
    );
    let minted = key.mint(&waits).await;
    minted.problem(503, "namespace_provisioning");
    assert!(minted.header("retry-after").is_some(), "C7");
    person
        .get(&format!("{}/kubeconfig", path(&before)))
        .await
        .expect(200);

    // Deleting does not wait for the cluster either, and may be repeated.
    for _ in 0..2 {
        let deleted = person.delete(&path(&goes)).await.expect(202);
        assert_eq!(deleted["status"], "deleting");
    }
    assert_eq!(listed(&person, &goes).await.unwrap()["status"], "deleting");
    key.mint(&goes).await.problem(403, "exec_not_allowed");
    person
        .get(&format!("{}/kubeconfig", path(&goes)))
        .await
        .problem(404, "not_found");
    person
        .patch(&path(&goes), json!({"name": "y"}))
        .await
        .problem(404, "not_found");
    create(&person, "goes").await.problem(409, "name_taken");
    let never = create(&person, "never").await.expect(201);
    person.delete(&path(&never)).await.expect(202);

    // What was begun goes on when the cluster is back.
    let config = DevClusterConfig::new(address, server.path("cluster"));
    server.dev_cluster = Some(DevCluster::start(config, None).await.unwrap());
    eventually("the work goes on", Duration::from_mins(1), async || {
        let waits = listed(&person, &waits).await.unwrap();
        waits["status"] == "active"
            && listed(&person, &goes).await.is_none()
            && listed(&person, &never).await.is_none()
    })
    .await;
    eventually(
        "the cluster is available",
        Duration::from_secs(20),
        async || state().await == "available",
    )
    .await;
    key.mint(&waits).await.expect(200);
    key.mint(&before).await.expect(200);
}
