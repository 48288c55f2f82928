//! `/v1/account/…`

use serde_json::{Value, json};
use time::Duration;

use crate::{
    client::Answer,
    world::{World, refusal, text},
};

const KEYS: &str = "/v1/account/api-keys";

async fn create(world: &World, token: &str, body: &Value) -> Answer {
    world.post(KEYS).bearer(token).json(body).send().await
}

async fn act(world: &World, token: &str, id: &str, act: &str, body: Option<Value>) -> Answer {
    let request = match act {
        "" => world.request("PATCH", &format!("{KEYS}/{id}")),
        _ => world.post(&format!("{KEYS}/{id}/{act}")),
    };
    let request = request.bearer(token);
    match body {
        Some(body) => request.json(body).send().await,
        None => request.send().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    // K1, K2
    let world = World::new().await;
    let ada = world.person("ada").await;
    let body = json!({
        "name": "  ci ", "scopes": {"all": true, "inference": false},
        "expires_at": "2026-02-01T02:00:00+02:00",
    });
    let made = create(&world, &ada, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut item = made.json();
    let key = item.as_object_mut().unwrap().remove("key").unwrap();
    assert_eq!(key.as_str().unwrap().len(), 41);
    assert_eq!(item["prefix"], key.as_str().unwrap()[..13]);
    let members: Vec<&String> = item.as_object().unwrap().keys().collect();
    let mut wanted = [
        "id",
        "name",
        "prefix",
        "scopes",
        "status",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
        "last_used_at",
    ];
    wanted.sort_unstable();
    assert_eq!(members, wanted);
    assert_eq!(item["name"], "ci");
    assert_eq!(item["scopes"], json!({"all": true}));
    assert_eq!(item["status"], "active");
    assert_eq!(item["expires_at"], "2026-02-01T00:00:00Z");
    let listed = world.get(KEYS).bearer(&ada).send().await;
    assert_eq!(listed.json(), json!({"items": [item], "next_cursor": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_refused_word_for_word() {
    // K10, K11, K12
    let world = World::new().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    let foreign = world.namespace(&bob, "theirs").await;
    let own = world.namespace(&ada, "ours").await;
    let made = world.key(&ada, json!({"all": true})).await;
    let id = text(&made, "id");
    let ids = |ids: &[&str]| json!({"kubernetes_exec": {"namespace_ids": ids}});
    let not_ours = "Every namespace ID must be a namespace of this account";
    for (scopes, code, detail) in [
        (
            json!({}),
            "invalid_scopes",
            "At least one explicit scope is required",
        ),
        (
            json!({"inference": true, "kubernetes_exec": {"all_namespaces": true}}),
            "invalid_scopes",
            "Explicit mixed scopes are not supported",
        ),
        (
            json!({"all": true, "inference": true}),
            "invalid_scopes",
            "all cannot be combined with other scope fields",
        ),
        (
            ids(&[]),
            "invalid_scopes",
            "At least one namespace ID is required unless all_namespaces is true",
        ),
        (
            json!({"alll": true}),
            "invalid_scopes",
            "scopes.alll is not known",
        ),
        (json!(null), "invalid_scopes", "scopes must be an object"),
        (ids(&[&own, &foreign]), "foreign_namespace", not_ours),
        (ids(&[&own, "nonsense"]), "foreign_namespace", not_ours),
        (
            ids(&[&own, "0198c0de-0000-7000-8000-000000000001"]),
            "foreign_namespace",
            not_ours,
        ),
    ] {
        let created = world.key(&ada, scopes.clone()).await;
        assert_eq!(created.problem(), refusal(400, code, detail));
        let updated = act(&world, &ada, &id, "", Some(json!({"scopes": scopes}))).await;
        assert_eq!(created.comparable(), updated.comparable());
        if code == "foreign_namespace" {
            assert_eq!(
                created.json()["errors"],
                json!([{
                    "field": "scopes.kubernetes_exec.namespace_ids[1]",
                    "message": "is not a namespace of this account",
                }])
            );
        }
    }
    let upper = own.to_uppercase();
    let made = world.key(&ada, ids(&[&upper, &own])).await;
    assert_eq!(made.json()["scopes"], ids(&[&own]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_member_by_member() {
    // Section 3, K4, K5
    let world = World::new().await;
    let ada = world.person("ada").await;
    let body = json!({"name": "ci", "scopes": {"all": true}, "expires_at": "2026-02-01T00:00:00Z"});
    let id = text(&create(&world, &ada, &body).await, "id");
    let patch = async |body: Value| act(&world, &ada, &id, "", Some(body)).await;
    assert_eq!(patch(json!({})).await.problem().1, "invalid_body");
    let renamed = patch(json!({"name": "cd"})).await.json();
    assert_eq!(
        (&renamed["name"], &renamed["expires_at"]),
        (&json!("cd"), &body["expires_at"])
    );
    let past = patch(json!({"expires_at": "2026-01-01T00:00:00Z"})).await;
    assert_eq!(past.problem().1, "expiry_not_in_future");
    assert_eq!(
        patch(json!({"expires_at": "2026-01-02"})).await.problem().1,
        "invalid_field"
    );
    let never = patch(json!({"expires_at": null})).await.json();
    assert_eq!(
        (&never["name"], &never["expires_at"]),
        (&json!("cd"), &json!(null))
    );
    for name in [
        json!(""),
        json!("x".repeat(65)),
        json!("a\u{202e}b"),
        json!(null),
    ] {
        assert_eq!(
            patch(json!({"name": name})).await.problem().1,
            "invalid_field"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_cannot_be_changed() {
    // K6, C5
    let world = World::new().await;
    let ada = world.person("ada").await;
    let revoked = text(&world.key(&ada, json!({"all": true})).await, "id");
    let body = json!({"name": "x", "scopes": {"all": true}, "expires_at": "2026-01-01T01:00:00Z"});
    let expired = text(&create(&world, &ada, &body).await, "id");
    let answer = act(&world, &ada, &revoked, "revoke", None).await;
    assert_eq!(
        (answer.status, text(&answer, "status")),
        (200, "revoked".to_owned())
    );
    world.clock.advance(Duration::hours(1));
    let wanted = refusal(
        409,
        "key_not_active",
        "Revoked or expired keys cannot be modified",
    );
    for id in [&revoked, &expired] {
        let patched = act(&world, &ada, id, "", Some(json!({"name": "y"}))).await;
        assert_eq!(patched.problem(), wanted);
        assert_eq!(
            act(&world, &ada, id, "revoke", None).await.problem(),
            wanted
        );
        assert_eq!(
            act(&world, &ada, id, "rotate", None).await.problem(),
            wanted
        );
        let wrong = act(&world, &ada, id, "", Some(json!({"name": 1}))).await;
        assert_eq!(wrong.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_key_does_not_exist() {
    // C6, K7
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let theirs = text(&world.key(&bob, json!({"all": true})).await, "id");
    for kind in ["", "revoke", "rotate"] {
        let body = || Some(json!({"name": "x"})).filter(|_| kind.is_empty());
        let foreign = act(&world, &ada, &theirs, kind, body()).await;
        assert_eq!(
            foreign.problem(),
            refusal(404, "api_key_not_found", "API key not found")
        );
        for id in [
            "0198c0de-0000-7000-8000-000000000001",
            "nonsense",
            "%FF",
            "a%2Fb",
        ] {
            let unknown = act(&world, &ada, id, kind, body()).await;
            assert_eq!(foreign.comparable(), unknown.comparable(), "{kind} {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_has_a_new_secret_and_the_old_one_a_grace() {
    // Section 3
    let world = World::new().await;
    let ada = world.person("ada").await;
    let made = world.key(&ada, json!({"all": true})).await;
    let (id, old) = (text(&made, "id"), text(&made, "key"));
    for grace in [
        json!(-1),
        json!(86_401),
        json!("1"),
        json!(1.5),
        json!(null),
    ] {
        let body = json!({"grace_seconds": grace});
        let answer = act(&world, &ada, &id, "rotate", Some(body)).await;
        assert_eq!(answer.problem().1, "invalid_field", "{grace}");
        assert_eq!(answer.json()["errors"][0]["field"], "grace_seconds");
    }
    let opens = async |key: &str| world.get("/v1/auth/key").key(key).send().await.status;
    let rotated = act(
        &world,
        &ada,
        &id,
        "rotate",
        Some(json!({"grace_seconds": 60})),
    )
    .await;
    assert_eq!(rotated.status, 200);
    let new = text(&rotated, "key");
    assert_eq!(text(&rotated, "id"), id);
    assert_eq!((opens(&old).await, opens(&new).await), (200, 200));
    world.clock.advance(Duration::MINUTE);
    assert_eq!((opens(&old).await, opens(&new).await), (401, 200));
    let again = act(&world, &ada, &id, "rotate", None).await;
    assert_eq!(
        (opens(&new).await, opens(&text(&again, "key")).await),
        (401, 200)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    // C4, K8
    let world = World::with(|config| config.api.key_limit = 3).await;
    let ada = world.person("ada").await;
    for _ in 0..3 {
        assert_eq!(world.key(&ada, json!({"all": true})).await.status, 201);
    }
    assert_eq!(
        world.key(&ada, json!({"all": true})).await.problem().1,
        "key_limit"
    );
    let list = async |query: &str| {
        let target = format!("{KEYS}?{query}");
        world.get(&target).bearer(&ada).send().await
    };
    let first = list("limit=2").await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("limit=2&cursor={cursor}")).await.json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_cursor"], Value::Null);
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "limit=1&limit=1",
    ] {
        assert_eq!(list(query).await.problem().1, "invalid_field", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_created_and_rotated_only_so_often_within_a_minute() {
    // K16
    let world = World::limited(2.try_into().unwrap(), |_| {}).await;
    let ada = world.person("ada").await;
    let all = json!({"name": "ci", "scopes": {"all": true}});
    let made = create(&world, &ada, &all).await;
    let id = text(&made, "id");
    assert_eq!(act(&world, &ada, &id, "rotate", None).await.status, 200);
    let often = "This account creates and rotates API keys too often";
    let limited = refusal(429, "rate_limited", often);
    let refused = create(&world, &ada, &all).await;
    assert_eq!(refused.problem(), limited);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(
        act(&world, &ada, &id, "rotate", None).await.problem(),
        limited
    );
    // Role, existence and body come first.
    let odd = create(&world, &ada, &json!({"name": "ci", "scopes": {}})).await;
    assert_eq!(odd.status, 400);
    let unknown = uuid::Uuid::nil().to_string();
    let unknown = act(&world, &ada, &unknown, "rotate", None).await;
    assert_eq!(unknown.status, 404);
    // What makes nothing grow is never refused for it.
    let renamed = act(&world, &ada, &id, "", Some(json!({"name": "cd"}))).await;
    assert_eq!(renamed.status, 200);
    assert_eq!(act(&world, &ada, &id, "revoke", None).await.status, 200);
    let eve = world.person("eve").await;
    assert_eq!(create(&world, &eve, &all).await.status, 201);
    world.clock.advance(Duration::MINUTE);
    assert_eq!(create(&world, &ada, &all).await.status, 201);
}
