//! `GET /v1/kubernetes/clusters`

use std::time::Duration;

use serde_json::json;

use crate::support::{Backend, Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_listed_with_what_is_known_about_them() {
    // N0, C4
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let path = "/v1/kubernetes/clusters";
    eventually(
        "the cluster is available",
        Duration::from_secs(10),
        async || person.get(path).await.expect(200)["items"][0]["status"] == "available",
    )
    .await;
    insta::assert_json_snapshot!("clusters", person.get(path).await.expect(200), {
        ".items[].version" => "[version]",
    });
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    reader.get(path).await.expect(200);
    person
        .get(&format!("{path}?limit=0"))
        .await
        .problem(400, "invalid_field");
    let past = person
        .get(&format!("{path}?cursor={}", "f".repeat(32)))
        .await
        .expect(200);
    assert_eq!(past, json!({"items": [], "next_cursor": null}));
}
