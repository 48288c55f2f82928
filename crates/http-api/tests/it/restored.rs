//! The database was restored under this instance (contract R7).

use serde_json::json;

use crate::{
    client::Request,
    world::{World, refusal, text},
};

const SENTENCE: &str = "The database was restored or replaced while this server ran; it answers \
                        again after it is started anew";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_database_was_restored_answers_machines_alone() {
    // R7
    let world = World::new().await;
    let token = world.person("ada").await;
    let made = world.key(&token, json!({"all": true})).await;
    let key = text(&made, "key");
    let namespace = world.namespace(&token, "team").await;
    let exec = format!("/v1/kubernetes/namespaces/{namespace}/exec-credential");
    let requests = || {
        [
            world.get("/v1/auth/key").header("x-api-key", &key),
            world.post(&exec).header("x-api-key", &key),
            world.get("/v1/account/api-keys").bearer(&token),
            world.get("/v1/auth/session"),
            world
                .post("/v1/auth/sign-in")
                .json(json!({"email": "a@b.c", "password": "x"})),
            world.get("/openapi.json"),
        ]
    };
    for request in requests() {
        assert_ne!(request.send().await.status, 503);
    }
    assert_eq!(world.get("/readyz").send().await.status, 200);

    world.restore_notice.give();
    world.restore_notice.give();
    let refused = refusal(503, "database_unavailable", SENTENCE);
    for request in requests() {
        let answer = request.send().await;
        assert_eq!(answer.problem(), refused);
        assert!(answer.header("retry-after").is_some(), "C7");
    }
    let inside = |path: &str| Request::new(world.internal, "GET", path).header("host", "any");
    assert_eq!(world.get("/readyz").send().await.problem(), refused);
    assert_eq!(inside("/readyz").send().await.problem(), refused);
    assert_eq!(world.get("/livez").send().await.status, 200);
    // C5: who asks for what there is not is told so as ever.
    assert_eq!(world.get("/v1/nothing").send().await.status, 404);
    let metrics = inside("/metrics").send().await;
    assert!(
        metrics.body.contains("\nremotegpu_database_restored 1\n"),
        "{}",
        metrics.body
    );
}
