//! `/v1/account/members`

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Backend, KeyHolder, Person, Pods, Server, eventually};

const PATH: &str = "/v1/account/members";

/// What the contract says, with room for a machine that is busy.
const SOON: Duration = Duration::from_secs(15);

async fn own_path(person: &Person) -> String {
    let session = person.get("/v1/auth/session").await.expect(200);
    format!("{PATH}/{}", session["user"]["id"].as_str().unwrap())
}

fn ids(made: &Value) -> Vec<(&str, &str)> {
    let made = made.as_array().unwrap().iter();
    made.map(|made| (made["type"].as_str().unwrap(), made["id"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_of_an_account_sees_who_is_in_it() {
    // T7, T8, C6
    let server = Server::start(Backend::Sqlite).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let bob = server.colleague(&ada, "bob@example.org", "read").await;
    let page = bob.get(PATH).await.expect(200);
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    insta::assert_json_snapshot!("member", items[0], {
        ".user_id" => "[id]",
        ".joined_at" => "[time]",
    });
    for member in items {
        let path = format!("{PATH}/{}", member["user_id"].as_str().unwrap());
        assert_eq!(bob.get(&path).await.expect(200), *member);
        eve.get(&path).await.problem(404, "not_found");
    }
    // A11: and no more.
    let path = own_path(&ada).await;
    let body = json!({"role": "write"});
    bob.patch(&path, body.clone())
        .await
        .problem(403, "role_too_small");
    bob.delete(&path).await.problem(403, "role_too_small");
    let unknown = format!("{PATH}/nobody");
    bob.delete(&unknown).await.problem(403, "role_too_small");
    // C5: who it is before what is wanted.
    let nonsense = json!({"role": 1});
    ada.patch(&own_path(&eve).await, nonsense.clone())
        .await
        .problem(404, "not_found");
    ada.patch(&unknown, nonsense)
        .await
        .problem(404, "not_found");
    for (body, sentence) in [
        (json!({}), "role is required"),
        (
            json!({"role": "owner"}),
            "role must be read, write or admin",
        ),
        (
            json!({"role": "read", "take_over_keys": 1}),
            "take_over_keys must be true or false",
        ),
        (json!({"role": "read", "keys": 1}), "keys is not known"),
    ] {
        let refused = ada.patch(&own_path(&bob).await, body).await;
        assert_eq!(refused.problem(400, "invalid_field"), sentence);
    }
}

async fn a_member_who_is_demoted_or_removed_loses_what_they_made(backend: Backend) {
    // K15, T7
    let server = Server::start(backend).await;
    let ada = server.person("ada").await;
    let bob = server.colleague(&ada, "bob@example.org", "write").await;
    let path = own_path(&bob).await;
    let namespace = ada.namespace("team").await;
    let pods = Pods::of(&ada.kubeconfig(&namespace, "shell").await, &namespace);
    let (his, hers) = (
        bob.key(json!({"all": true})).await,
        ada.key(json!({"all": true})).await,
    );
    let (token, other) = (his.token(&namespace).await, hers.token(&namespace).await);
    assert!(pods.open(&token).await && pods.open(&other).await);

    // His role holds with his next request, and his key's with its next.
    let changed = ada.patch(&path, json!({"role": "read"})).await.expect(200);
    assert_eq!(changed["role"], "read");
    assert_eq!(ids(&changed["ended"]), [("api_key", his.id())]);
    assert_eq!(changed["taken_over"], json!([]));
    his.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    let body = json!({"name": "x", "scopes": {"all": true}});
    bob.post("/v1/account/api-keys", body)
        .await
        .problem(403, "role_too_small");
    bob.get(PATH).await.expect(200);
    eventually("the token ends", SOON, async || !pods.open(&token).await).await;

    // What is taken over goes on, on every instance.
    ada.patch(&path, json!({"role": "write"})).await.expect(200);
    his.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    let second = bob.key(json!({"all": true})).await;
    let token = second.token(&namespace).await;
    let body = json!({"role": "read", "take_over_keys": true});
    let changed = ada.patch(&path, body).await.expect(200);
    assert_eq!(ids(&changed["taken_over"]), [("api_key", second.id())]);
    assert_eq!(changed["ended"], json!([]));
    second.get("/v1/auth/key").await.expect(200);
    let listed = ada.get("/v1/account/api-keys").await.expect(200);
    let session = ada.get("/v1/auth/session").await.expect(200);
    assert_eq!(listed["items"][0]["id"], second.id());
    assert_eq!(listed["items"][0]["created_by"], session["user"]["id"]);

    // T5, T10: a removal is the end of his session, and of what people alone make.
    let body = json!({
        "name": "laptop", "clusters": [namespace["cluster"]], "expires_in_seconds": 3600,
    });
    let laptop = bob
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    let laptop = laptop["id"].as_str().unwrap();
    let removed = ada.delete(&path).await.expect(200);
    assert_eq!(ids(&removed["ended"]), [("access_token", laptop)]);
    assert_eq!(removed["taken_over"], json!([]));
    let gone = format!("/v1/account/access-tokens/{laptop}");
    ada.get(&gone).await.problem(404, "not_found");
    bob.get(PATH).await.problem(401, "invalid_access_token");
    ada.get(&path).await.problem(404, "not_found");
    ada.delete(&path).await.problem(404, "not_found");
    second.get("/v1/auth/key").await.expect(200);
    assert!(pods.open(&token).await && pods.open(&other).await);
    let events = ada
        .get("/v1/account/audit-events?limit=200")
        .await
        .expect(200);
    let events = events["items"].as_array().unwrap();
    let count = |action: &str| {
        events
            .iter()
            .filter(|event| event["action"] == action)
            .count()
    };
    assert_eq!(count("member.role_changed"), 3);
    assert_eq!(count("member.removed"), 1);
    assert_eq!((count("api_key.revoked"), count("api_key.updated")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_demoted_or_removed_loses_what_they_made_on_sqlite() {
    a_member_who_is_demoted_or_removed_loses_what_they_made(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_demoted_or_removed_loses_what_they_made_on_postgresql() {
    a_member_who_is_demoted_or_removed_loses_what_they_made(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_holds_on_every_instance() {
    // K13, K15, T7
    let one = Server::start(Backend::Postgres).await;
    let two = one.second_instance().await;
    let ada = one.person("ada").await;
    let bob = one.colleague(&ada, "bob@example.org", "write").await;
    let (path, key) = (own_path(&bob).await, bob.key(json!({"all": true})).await);
    let mut item = key.item.clone();
    item["key"] = json!(key.key);
    let there = KeyHolder::new(&two.url, item);
    let bob = Person {
        url: two.url.clone(),
        ..bob
    };
    // Both remember it.
    for _ in 0..2 {
        key.get("/v1/auth/key").await.expect(200);
        there.get("/v1/auth/key").await.expect(200);
    }
    ada.patch(&path, json!({"role": "read"})).await.expect(200);
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    let body = json!({"name": "x"});
    bob.post("/v1/kubernetes/namespaces", body)
        .await
        .problem(403, "role_too_small");
    eventually("the other refuses it", SOON, async || {
        !there.get("/v1/auth/key").await.status.is_success()
    })
    .await;
    ada.delete(&path).await.expect(200);
    bob.get(PATH).await.problem(401, "invalid_access_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_leave_but_the_last_admin() {
    // T7, K15
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let bob = server.colleague(&ada, "bob@example.org", "write").await;
    let eve = server.colleague(&ada, "eve@example.org", "read").await;
    let own = own_path(&ada).await;
    let sentence = "The account's last admin cannot leave, be removed or be demoted";
    for role in ["read", "write"] {
        let refused = ada.patch(&own, json!({"role": role})).await;
        assert_eq!(refused.problem(409, "last_admin"), sentence);
    }
    assert_eq!(ada.delete(&own).await.problem(409, "last_admin"), sentence);
    ada.patch(&own, json!({"role": "admin"})).await.expect(200);

    // Nobody takes over from themselves.
    let with_keys = |path: &str| format!("{path}?take_over_keys=true");
    for person in [&ada, &bob, &eve] {
        let left = person.delete(&with_keys(&own_path(person).await)).await;
        let sentence = "take_over_keys is for the keys of others";
        assert_eq!(left.problem(400, "invalid_field"), sentence);
    }
    let body = json!({"role": "read", "take_over_keys": true});
    ada.patch(&own, body).await.problem(400, "invalid_field");
    for wrong in [
        "?take_over_keys=1",
        "?take_over_keys=",
        "?take_over_keys=true&take_over_keys=true",
    ] {
        let path = format!("{}{wrong}", own_path(&bob).await);
        ada.delete(&path).await.problem(400, "invalid_field");
    }

    let key = bob.key(json!({"all": true})).await;
    let left = bob.delete(&own_path(&bob).await).await.expect(200);
    assert_eq!(ids(&left["ended"]), [("api_key", key.id())]);
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    bob.get(PATH).await.problem(401, "invalid_access_token");
    eve.delete(&own_path(&eve).await).await.expect(200);

    let dan = server.colleague(&ada, "dan@example.org", "admin").await;
    ada.delete(&own).await.expect(200);
    ada.get(PATH).await.problem(401, "invalid_access_token");
    dan.delete(&own_path(&dan).await)
        .await
        .problem(409, "last_admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_gives_roles_and_takes_them() {
    // A13, T7, K15
    let server = Server::start(Backend::Sqlite).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let account = ada.account_id().await;
    let set = |email: &str, role: &str| {
        server.admin(&[
            "user",
            "set-role",
            email,
            "--account-id",
            &account,
            "--role",
            role,
        ])
    };
    // Somebody who has a user is taken in.
    assert_eq!(set("Eve@example.org", "write"), "");
    let body = json!({"account_id": account});
    let there = eve.post("/v1/auth/session/account", body).await.expect(200);
    assert_eq!(there["role"], "write");
    let key = eve.key(json!({"all": true})).await;
    let told = set("eve@example.org", "read");
    assert!(
        told.contains(key.id()) && told.contains("api_key"),
        "{told}"
    );
    eventually("the key ends", Duration::from_secs(3), async || {
        !key.get("/v1/auth/key").await.status.is_success()
    })
    .await;
    let refused = |arguments: &[&str], said: &str| {
        let output = server.command(&[&["admin", "user"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains(said) && stderr.lines().count() == 1,
            "{stderr}"
        );
    };
    let to_ada = ["ada@example.org", "--account-id", &account];
    refused(
        &[&["set-role"], &to_ada[..], &["--role", "write"]].concat(),
        "last admin",
    );
    refused(&[&["remove"], &to_ada[..]].concat(), "last admin");
    let nobody = ["nobody@example.org", "--account-id", &account];
    refused(
        &[&["remove"], &nobody[..]].concat(),
        "no user nobody@example.org",
    );
    set("eve@example.org", "admin");
    assert_eq!(
        server.admin(&[&["user", "remove"], &to_ada[..]].concat()),
        ""
    );
    ada.get(PATH).await.problem(401, "invalid_access_token");
    refused(&[&["remove"], &to_ada[..]].concat(), "not in it");
    assert_eq!(
        eve.get(PATH).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
