//! The verbs, on objects that nothing acts upon.

use serde_json::{Value, json};

use crate::actor::{Actor, items, start};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

async fn world_with_map() -> (crate::actor::World, Actor, Value) {
    let world = start().await;
    let admin = world.admin.clone();
    admin.make_namespace("a").await;
    let map = admin.make(MAPS, json!({"metadata": {"name": "one", "labels": {"x": "1"}}, "data": {"k": "v"}})).await;
    (world, admin, map)
}

#[tokio::test(flavor = "multi_thread")]
async fn update_needs_the_latest_version() {
    let (_world, admin, map) = world_with_map().await;
    let path = format!("{MAPS}/one");
    let mut newer = map.clone();
    newer["data"]["k"] = json!("w");
    let (code, newer) = admin.put(&path, newer).await;
    assert_eq!(code, 200);
    assert_ne!(newer["metadata"]["resourceVersion"], map["metadata"]["resourceVersion"]);
    assert_eq!(newer["metadata"]["uid"], map["metadata"]["uid"]);
    let (code, status) = admin.put(&path, map.clone()).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")), "an object with an old version is refused");
    let (code, same) = admin.put(&path, newer.clone()).await;
    assert_eq!((code, same), (200, newer), "an update that changes nothing makes no new version");
    let mut other = map;
    other["metadata"]["name"] = json!("two");
    assert_eq!(admin.put(&path, other.clone()).await.0, 400);
    assert_eq!(admin.put(&format!("{MAPS}/two"), other).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_all_types_work() {
    let (_world, admin, _) = world_with_map().await;
    let path = format!("{MAPS}/one");
    for (kind, patch, data) in [
        ("merge-patch+json", json!({"data": {"a": "1"}}), json!({"k": "v", "a": "1"})),
        ("strategic-merge-patch+json", json!({"data": {"a": null}}), json!({"k": "v"})),
        ("json-patch+json", json!([{"op": "replace", "path": "/data/k", "value": "w"}]), json!({"k": "w"})),
    ] {
        let (code, patched) = admin.patch(&path, kind, patch).await;
        assert_eq!((code, &patched["data"]), (200, &data), "{kind}");
    }
    let old = json!({"metadata": {"resourceVersion": "1"}});
    assert_eq!(admin.patch(&path, "merge-patch+json", old).await.0, 409);
    assert_eq!(admin.patch(&path, "cbor", json!({})).await.0, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_creates_then_merges() {
    let (_world, admin, _) = world_with_map().await;
    let two = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}, "data": data});
    let path = format!("{MAPS}/two?fieldManager=test&force=true");
    let (code, _) = admin.patch(&path, "apply-patch+yaml", two(json!({"a": "1"}))).await;
    assert_eq!(code, 201);
    let (code, merged) = admin.patch(&path, "apply-patch+yaml", two(json!({"b": "2"}))).await;
    assert_eq!((code, &merged["data"]), (200, &json!({"a": "1", "b": "2"})));
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: two\ndata:\n  c: '3'\n";
    let answer = admin.send(reqwest::Method::PATCH, &path, "application/apply-patch+yaml", yaml.into()).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["data"]["c"], "3");
    let (code, _) = admin.patch(&format!("{MAPS}/two"), "apply-patch+yaml", two(json!({}))).await;
    assert_eq!(code, 422, "an apply has to name its manager");
    let bot = admin.account("a", "bot").await;
    admin.allow("a", "bot", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}])).await;
    let mut three = two(json!({}));
    three["metadata"]["name"] = json!("three");
    let (code, _) = bot.patch(&format!("{MAPS}/three?fieldManager=t"), "apply-patch+yaml", three).await;
    assert_eq!(code, 403, "applying what is not there is creating");
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_honours_preconditions_and_cascades() {
    let (_world, admin, map) = world_with_map().await;
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": map["metadata"]["uid"]}]);
    for name in ["owned-1", "owned-2"] {
        admin.make(MAPS, json!({"metadata": {"name": name, "ownerReferences": owner}})).await;
    }
    let path = format!("{MAPS}/one");
    let (code, _) = admin.delete(&path, json!({"preconditions": {"uid": "another"}})).await;
    assert_eq!(code, 409);
    let (code, status) = admin.delete(&path, json!({"preconditions": {"uid": map["metadata"]["uid"]}})).await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")));
    assert_eq!(status["details"]["uid"], map["metadata"]["uid"]);
    assert_eq!(admin.delete(&path, json!({})).await.0, 404);
    for name in ["owned-1", "owned-2"] {
        admin.wait(&format!("{MAPS}/{name}"), |code, _| code == 404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_outlive_their_owner() {
    let (_world, admin, map) = world_with_map().await;
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": map["metadata"]["uid"]}]);
    admin.make(MAPS, json!({"metadata": {"name": "owned", "ownerReferences": owner}})).await;
    admin.delete(&format!("{MAPS}/one"), json!({"propagationPolicy": "Orphan"})).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let (code, orphan) = admin.get(&format!("{MAPS}/owned")).await;
    assert_eq!((code, &orphan["metadata"]["ownerReferences"]), (200, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_stores_nothing() {
    let (_world, admin, map) = world_with_map().await;
    let (code, dry) = admin.post(&format!("{MAPS}?dryRun=All"), json!({"metadata": {"name": "two"}})).await;
    assert_eq!((code, dry["metadata"]["uid"].is_string()), (201, true));
    assert_eq!(admin.get(&format!("{MAPS}/two")).await.0, 404);
    let path = format!("{MAPS}/one?dryRun=All");
    let (_, dry) = admin.patch(&path, "merge-patch+json", json!({"data": {"k": "dry"}})).await;
    assert_eq!(dry["data"]["k"], "dry");
    assert_eq!(admin.delete(&path, json!({})).await.0, 200);
    assert_eq!(admin.get(&format!("{MAPS}/one")).await.1, map);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_selected_and_collections_deleted() {
    let (_world, admin, _) = world_with_map().await;
    let generated = admin.make(MAPS, json!({"metadata": {"generateName": "gen-", "labels": {"x": "2"}}})).await;
    assert_eq!(generated["metadata"]["name"].as_str().unwrap().len(), "gen-".len() + 5);
    for (query, count) in [
        ("", 3),
        ("?labelSelector=x", 2),
        ("?labelSelector=x%3D2", 1),
        ("?labelSelector=x%20in%20(1%2C2)", 2),
        ("?fieldSelector=metadata.name%3Done", 1),
    ] {
        let (_, list) = admin.get(&format!("{MAPS}{query}")).await;
        assert_eq!((items(&list).len(), &list["kind"]), (count, &json!("ConfigMapList")), "{query}");
    }
    assert_eq!(admin.get(&format!("{MAPS}?labelSelector=a%20b")).await.0, 400);
    let (code, deleted) = admin.delete(&format!("{MAPS}?labelSelector=x"), json!({})).await;
    assert_eq!((code, items(&deleted).len()), (200, 2));
    let table = admin.table(MAPS).await;
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["rows"][0]["cells"][0], "kube-root-ca.crt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_table_is_said_to_be_missing() {
    let (_world, admin, _) = world_with_map().await;
    for path in
        ["/apis/example.org/v1/widgets", "/api/v1/namespaces/a/pods/x/log", "/metrics", "/api/v1/persistentvolumes"]
    {
        let (code, status) = admin.get(path).await;
        assert_eq!((code, &status["message"]), (501, &json!("the development cluster does not do this")), "{path}");
        assert_eq!(status["kind"], "Status");
    }
    assert_eq!(admin.get("/apis/example.org/v1").await.0, 404);
    assert_eq!(admin.post("/api/v1/nodes", json!({"metadata": {"name": "x"}})).await.0, 501);
    assert!(items(&admin.get("/api/v1/nodes").await.1).is_empty());
}
