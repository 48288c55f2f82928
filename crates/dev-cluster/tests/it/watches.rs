//! Watches: what they tell, and from when on.

use serde_json::{Value, json};

use crate::actor::{Actor, start};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

/// All events of a watch that ends after a second.
async fn events(actor: &Actor, query: &str) -> Vec<(String, String)> {
    let path = format!("{MAPS}?watch=true&timeoutSeconds=1&{query}");
    let answer = actor.send(reqwest::Method::GET, &path, "", String::new()).await;
    let lines = answer.text().await.unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event["type"]), text(&event["object"]["metadata"]["name"]))).collect()
}

fn expected(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_tells_every_change_after_its_version() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let (_, list) = admin.get(MAPS).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let change = async {
        admin.make(MAPS, json!({"metadata": {"name": "one", "labels": {"x": "1"}}})).await;
        let patch = json!({"metadata": {"labels": {"x": "2"}}});
        admin.patch(&format!("{MAPS}/one"), "merge-patch+json", patch).await;
        admin.delete(&format!("{MAPS}/one"), json!({})).await;
    };
    let after = format!("resourceVersion={version}");
    let (all, ()) = tokio::join!(events(admin, &after), change);
    assert_eq!(all, expected(&[("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]));
    // The same changes, told later, to someone who looks at one label only.
    let selected = events(admin, &format!("{after}&labelSelector=x%3D1")).await;
    assert_eq!(selected, expected(&[("ADDED", "one"), ("DELETED", "one")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_without_version_begins_with_what_is_there() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    assert_eq!(events(admin, "").await, expected(&[("ADDED", "kube-root-ca.crt")]));
    let query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    assert_eq!(events(admin, query).await, expected(&[("ADDED", "kube-root-ca.crt"), ("BOOKMARK", "")]));
    assert_eq!(events(admin, "resourceVersion=0&fieldSelector=metadata.name%3Dx").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_from_before_the_history_is_expired() {
    let world = start().await;
    world.admin.make_namespace("a").await;
    world.cluster.stop().await;
    let world = crate::actor::start_in(world.folder, None).await;
    assert_eq!(events(&world.admin, "resourceVersion=3").await, expected(&[("ERROR", "")]));
}
