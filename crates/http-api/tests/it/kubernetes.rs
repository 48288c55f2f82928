//! `/v1/kubernetes/…`

use serde_json::{Value, json};

use remotegpu_primitives::Clock;
use remotegpu_test_support::cluster::TokenAnswer;

use crate::{
    client::Answer,
    world::{World, refusal, text},
};

const NAMESPACES: &str = "/v1/kubernetes/namespaces";

async fn create(world: &World, token: &str, body: Value) -> Answer {
    world.post(NAMESPACES).bearer(token).json(body).send().await
}

async fn mint(world: &World, key: &str, namespace: &str) -> Answer {
    let path = format!("{NAMESPACES}/{namespace}/exec-credential");
    world.post(&path).key(key).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_listed_with_what_is_known_of_them() {
    // N0
    let world = World::new().await;
    let ada = world.person("ada").await;
    let list = world
        .get("/v1/kubernetes/clusters")
        .bearer(&ada)
        .send()
        .await;
    let wanted = json!({"name": "test", "title": "Test", "version": null, "status": "available"});
    assert_eq!(list.json(), json!({"items": [wanted], "next_cursor": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made_renamed_and_deleted() {
    // N1, N3, N4, N5
    let world = World::new().await;
    let ada = world.person("ada").await;
    let made = create(&world, &ada, json!({"name": "team-ml", "cluster": "test"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let item = made.json();
    let members: Vec<&String> = item.as_object().unwrap().keys().collect();
    let mut wanted = [
        "id",
        "name",
        "kubernetes_namespace",
        "cluster",
        "status",
        "message",
        "created_at",
        "updated_at",
    ];
    wanted.sort_unstable();
    assert_eq!(members, wanted);
    assert_eq!(
        (&item["status"], &item["cluster"]),
        (&json!("active"), &json!("test"))
    );
    let path = format!("{NAMESPACES}/{}", text(&made, "id"));
    let rename = async |body: Value| {
        world
            .request("PATCH", &path)
            .bearer(&ada)
            .json(body)
            .send()
            .await
    };
    let renamed = rename(json!({"name": "team-vision"})).await.json();
    assert_eq!(renamed["name"], "team-vision");
    assert_eq!(
        renamed["kubernetes_namespace"],
        item["kubernetes_namespace"]
    );
    assert_eq!(rename(json!({})).await.problem().1, "invalid_body");
    create(&world, &ada, json!({"name": "other"})).await;
    assert_eq!(
        rename(json!({"name": "other"})).await.problem().1,
        "name_taken"
    );
    world.cluster.set_up(false);
    for _ in 0..2 {
        let deleted = world.request("DELETE", &path).bearer(&ada).send().await;
        assert_eq!(
            (deleted.status, text(&deleted, "status")),
            (202, "deleting".to_owned())
        );
    }
    // N6
    assert_eq!(rename(json!({"name": "x"})).await.problem().1, "not_found");
    let kubeconfig = world
        .get(&format!("{path}/kubeconfig"))
        .bearer(&ada)
        .send()
        .await;
    assert_eq!(kubeconfig.problem().1, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_refused_says_which_rule() {
    // N2, N3
    let world = World::with(|config| config.api.namespace_limit = 1).await;
    let ada = world.person("ada").await;
    for (name, detail) in [
        ("", "name must not be empty"),
        (
            "Team",
            "name must consist of lowercase letters, digits and hyphens",
        ),
        ("-a", "name must begin and end with a letter or digit"),
        ("all", "name must not be the reserved name all"),
        ("default", "name must not be the reserved name default"),
        (
            "kube-system",
            "name must not begin with kube-, which Kubernetes reserves",
        ),
        (&"a".repeat(64), "name must have at most 63 characters"),
    ] {
        let answer = create(&world, &ada, json!({"name": name})).await;
        assert_eq!(answer.problem(), refusal(400, "invalid_field", detail));
    }
    let unknown = create(&world, &ada, json!({"name": "a", "cluster": "nowhere"})).await;
    assert_eq!(unknown.problem().1, "cluster_unknown");
    assert_eq!(create(&world, &ada, json!({"name": "a"})).await.status, 201);
    let limit = create(&world, &ada, json!({"name": "b"})).await.problem().1;
    assert_eq!(limit, "namespace_limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_provisions_has_no_kubeconfig_yet() {
    // N5, N6, X1
    let world = World::new().await;
    let ada = world.person("ada").await;
    world.cluster.set_up(false);
    let made = create(&world, &ada, json!({"name": "team-ml"})).await;
    assert_eq!(
        (made.status, text(&made, "status")),
        (201, "provisioning".to_owned())
    );
    let path = format!("{NAMESPACES}/{}", text(&made, "id"));
    let get = async |path: String| world.get(&path).bearer(&ada).send().await;
    let early = get(format!("{path}/kubeconfig")).await;
    assert_eq!(early.problem().1, "namespace_not_ready");
    let wrong = get(format!("{path}/kubeconfig?plugin=bash")).await;
    assert_eq!(
        wrong.problem(),
        refusal(400, "invalid_field", "plugin must be shell or remotegpu")
    );
    let early_rename = world
        .request("PATCH", &path)
        .bearer(&ada)
        .json(json!({"name": "x"}));
    assert_eq!(early_rename.send().await.problem().1, "namespace_not_ready");
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let credential = mint(&world, &key, &text(&made, "id")).await;
    assert_eq!(credential.problem().1, "namespace_provisioning");
    assert!(credential.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_comes_as_json_or_as_the_file() {
    // X1, X2
    let world = World::new().await;
    world.store.settle(world.clock.now()).await.unwrap();
    let ada = world.person("ada").await;
    let id = world.namespace(&ada, "team-ml").await;
    let path = format!("{NAMESPACES}/{id}/kubeconfig");
    let json = world.get(&path).bearer(&ada).send().await;
    let document = json.json();
    assert_eq!(document.as_object().unwrap().len(), 3);
    assert_eq!(document["filename"], "kubeconfig-team-ml.yaml");
    let yaml = text(&json, "kubeconfig");
    let url = format!("http://{}{NAMESPACES}/{id}/exec-credential", world.address);
    assert!(yaml.contains(&url), "{yaml}");
    assert!(yaml.contains(&text(&json, "namespace")));
    let file = world
        .get(&path)
        .bearer(&ada)
        .header("accept", "application/yaml")
        .send()
        .await;
    assert_eq!(file.body, yaml);
    assert_eq!(file.header("content-type"), Some("application/yaml"));
    let attachment = "attachment; filename=\"kubeconfig-team-ml.yaml\"";
    assert_eq!(file.header("content-disposition"), Some(attachment));
    let plugin = world
        .get(&format!("{path}?plugin=remotegpu"))
        .bearer(&ada)
        .send()
        .await;
    assert!(text(&plugin, "kubeconfig").contains("kubectl-remotegpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_credential_is_bare() {
    // X6, X7
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = world.namespace(&ada, "team-ml").await;
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let credential = mint(&world, &key, &id).await;
    assert_eq!(credential.status, 200, "{credential:?}");
    assert_eq!(credential.header("cache-control"), Some("no-store"));
    let document = credential.json();
    assert_eq!(document["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(document["kind"], "ExecCredential");
    assert_eq!(
        document["status"]["expirationTimestamp"],
        "2026-01-01T01:00:00Z"
    );
    assert_eq!(document.as_object().unwrap().len(), 3);
    let path = format!("{NAMESPACES}/{id}/exec-credential");
    let with_body = world.post(&path).bearer(&key).body("nonsense").send().await;
    assert_eq!(with_body.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_open_a_namespace_learns_nothing_of_it() {
    // C6, X6, X11
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let (own, theirs) = (
        world.namespace(&ada, "a").await,
        world.namespace(&bob, "b").await,
    );
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let inference = text(&world.key(&ada, json!({"inference": true})).await, "key");
    let foreign = mint(&world, &key, &theirs).await;
    let detail = "This API key does not allow Kubernetes exec for this namespace";
    assert_eq!(foreign.problem(), refusal(403, "exec_not_allowed", detail));
    for (key, id) in [
        (&key, "0198c0de-0000-7000-8000-000000000001"),
        (&key, "nonsense"),
        (&inference, own.as_str()),
        (&inference, theirs.as_str()),
    ] {
        assert_eq!(
            mint(&world, key, id).await.comparable(),
            foreign.comparable()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_or_odd_is_503() {
    // C7, X6, X8
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = world.namespace(&ada, "team-ml").await;
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let off = TokenAnswer::OffBy(time::Duration::HOUR);
    for (answer, code, detail) in [
        (
            TokenAnswer::NoExpiration,
            "token_without_expiration",
            "The backing Kubernetes token response did not include an expiration",
        ),
        (
            off,
            "cluster_unavailable",
            "The cluster's token response was not usable",
        ),
    ] {
        world.cluster.set_answer(answer);
        let refused = mint(&world, &key, &id).await;
        assert_eq!(refused.problem(), refusal(503, code, detail));
        assert!(refused.header("retry-after").is_some());
    }
    world.cluster.set_up(false);
    let down = mint(&world, &key, &id).await.problem();
    assert_eq!(
        down,
        refusal(503, "cluster_unavailable", "The cluster is not available")
    );
}
