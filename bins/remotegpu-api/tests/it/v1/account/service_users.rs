//! `/v1/account/service-users` (contract T8)

mod tokens;

use std::time::Duration;

use serde_json::json;

use crate::support::{Backend, Pods, Server, ServerOptions, eventually, time_of};

const PATH: &str = "/v1/account/service-users";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_user_is_made_and_can_be_read() {
    // T8, K4
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let me = ada.get("/v1/auth/session").await.expect(200);
    let made = ada
        .post(PATH, json!({"name": " ci ", "role": "write"}))
        .await;
    let made = made.expect(201);
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["created_at", "created_by", "id", "name", "role"]);
    assert_eq!(
        (&made["name"], &made["role"]),
        (&json!("ci"), &json!("write"))
    );
    assert_eq!(made["created_by"], me["user"]["id"]);
    time_of(&made["created_at"]);
    // Two may have one name, as keys may.
    let second = ada.post(PATH, json!({"name": "ci", "role": "read"})).await;
    let second = second.expect(201);
    let listed = ada.get(PATH).await.expect(200);
    assert_eq!(listed["items"], json!([second, made]));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200), made);

    for (body, field) in [
        (json!({"name": "", "role": "write"}), "name"),
        (json!({"name": "a\u{202e}b", "role": "write"}), "name"),
        (json!({"name": "ci", "role": "owner"}), "role"),
        (json!({"name": "ci"}), "role"),
        (
            json!({"name": "ci", "role": "read", "email": "a@b"}),
            "email",
        ),
    ] {
        let refused = ada.post(PATH, body.clone()).await;
        refused.problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_service_users() {
    // A11, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("write").await;
    let tokens = format!("{}/tokens", machine.path());
    for role in ["read", "write"] {
        let email = format!("{role}@example.org");
        let colleague = server.colleague(&ada, &email, role).await;
        for path in [PATH, &machine.path(), &tokens, &machine.token_path()] {
            colleague.get(path).await.problem(403, "role_too_small");
        }
        let body = json!({"name": "x", "role": "read"});
        colleague
            .post(PATH, body)
            .await
            .problem(403, "role_too_small");
        let gone = colleague.delete(&machine.token_path()).await;
        gone.problem(403, "role_too_small");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_its_role_says_and_answers_for_it() {
    // A11, K15, R5, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let (reader, writer) = (
        ada.service_user("read").await,
        ada.service_user("write").await,
    );

    let namespace = writer.caller.namespace("team-ml").await;
    let key = writer.caller.key(json!({"all": true})).await;
    assert_eq!(key.item["created_by"], writer.id.as_str());
    key.mint(&namespace).await.expect(200);
    let path = format!("/v1/account/api-keys/{}", key.id());
    let read = reader.caller.get(&path).await.expect(200);
    assert_eq!(read["id"], key.item["id"]);
    assert_eq!(read.get("key"), None, "K2");
    let body = json!({"name": "x", "scopes": {"all": true}});
    let refused = reader.caller.post("/v1/account/api-keys", body).await;
    refused.problem(403, "role_too_small");

    let admin = ada.service_user("admin").await;
    let events = "/v1/account/audit-events?limit=200";
    writer
        .caller
        .get(events)
        .await
        .problem(403, "role_too_small");
    let events = admin.caller.get(events).await.expect(200);
    let events = events["items"].as_array().unwrap();
    let issued = events
        .iter()
        .find(|event| event["action"] == "api_key.issued");
    let actor = json!({"type": "service_user", "id": writer.id});
    assert_eq!(issued.unwrap()["actor"], actor);
    let created = events
        .iter()
        .find(|event| event["action"] == "service_user.created");
    let subject = json!({"type": "service_user", "id": admin.id});
    assert_eq!(created.unwrap()["subject"], subject);
    let given = events
        .iter()
        .find(|event| event["action"] == "service_user_token.issued");
    let given = given.unwrap();
    assert_eq!(given["subject"]["id"], admin.token["id"]);
    assert_eq!(given["details"]["service_user_id"], admin.id.as_str());
    assert_eq!(given["details"]["prefix"], admin.token["prefix"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_says_which_it_is() {
    // A6, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let person = ada.get("/v1/auth/session").await.expect(200);
    assert_eq!(person.get("service_user"), None);
    let machine = ada.service_user("write").await;
    let told = machine.caller.get("/v1/auth/session").await.expect(200);
    assert_eq!(
        told,
        json!({
            "service_user": {"id": machine.id, "name": "ci"},
            "account": person["account"],
            "accounts": [{
                "id": person["account"]["id"],
                "name": person["account"]["name"],
                "role": "write",
            }],
            "role": "write",
            "expires_at": machine.token["expires_at"],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_as_a_service_user() {
    // T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("admin").await;
    let email = format!("service-user:{}", machine.id);
    for password in [
        "",
        "a password of nobody",
        machine.token["token"].as_str().unwrap(),
    ] {
        let body = json!({"email": email, "password": password});
        let refused = ada.post("/v1/auth/sign-in", body).await;
        refused.problem(401, "wrong_credentials");
    }
    let reset = server.command(&["admin", "user", "reset-password", &email]);
    assert!(!reset.status.success(), "{reset:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_and_each_so_many_tokens() {
    // T10
    let options = ServerOptions::new(Backend::Sqlite)
        .with("service-user-limit", "2")
        .with("service-user-token-limit", "1");
    let server = Server::start_with(options).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("read").await;
    let body = json!({"name": "x", "role": "read"});
    ada.post(PATH, body.clone()).await.expect(201);
    let detail = ada
        .post(PATH, body.clone())
        .await
        .problem(409, "limit_reached");
    assert_eq!(detail, "The account's limit of service users is reached");
    let tokens = format!("{}/tokens", machine.path());
    let token = json!({"name": "x", "expires_in_seconds": 60});
    let detail = ada
        .post(&tokens, token.clone())
        .await
        .problem(409, "limit_reached");
    assert_eq!(detail, "The service user's limit of tokens is reached");
    ada.delete(&machine.token_path()).await.expect(204);
    ada.post(&tokens, token).await.expect(201);
    // Others have their own.
    let bob = server.person("bob").await;
    bob.post(PATH, body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_role_ends_what_it_made_unless_it_is_taken_over() {
    // K13, K15, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let me = ada.get("/v1/auth/session").await.expect(200);
    let (one, other) = (
        ada.service_user("write").await,
        ada.service_user("admin").await,
    );
    let (ends, stays) = (
        one.caller.key(json!({"all": true})).await,
        other.caller.key(json!({"all": true})).await,
    );
    for key in [&ends, &stays] {
        key.get("/v1/auth/key").await.expect(200);
    }
    let made = |key: &str| json!([{"type": "api_key", "id": key, "name": "test"}]);
    let renamed = ada
        .patch(&one.path(), json!({"name": "renamed"}))
        .await
        .expect(200);
    assert_eq!(renamed["name"], "renamed");
    assert_eq!(
        (&renamed["ended"], &renamed["taken_over"]),
        (&json!([]), &json!([]))
    );
    ends.get("/v1/auth/key").await.expect(200);

    let demoted = ada
        .patch(&one.path(), json!({"role": "read"}))
        .await
        .expect(200);
    assert_eq!(demoted["role"], "read");
    assert_eq!(demoted["ended"], made(ends.id()));
    ends.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    let told = one.caller.get("/v1/auth/session").await.expect(200);
    assert_eq!(told["role"], "read");

    let body = json!({"role": "read", "take_over_keys": true});
    let demoted = ada.patch(&other.path(), body).await.expect(200);
    assert_eq!(demoted["taken_over"], made(stays.id()));
    stays.get("/v1/auth/key").await.expect(200);
    let path = format!("/v1/account/api-keys/{}", stays.id());
    let key = ada.get(&path).await.expect(200);
    assert_eq!(key["created_by"], me["user"]["id"]);

    ada.patch(&one.path(), json!({}))
        .await
        .problem(400, "invalid_body");
    let refused = ada
        .patch(&one.path(), json!({"role": "owner", "name": ""}))
        .await;
    refused.problem(400, "invalid_field");
    assert_eq!(refused.json()["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_ends_tokens_keys_and_what_they_opened() {
    // K15, T8
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let machine = ada.service_user("write").await;
    let namespace = machine.caller.namespace("team-ml").await;
    let key = machine.caller.key(json!({"all": true})).await;
    let cluster_token = key.token(&namespace).await;
    let kubeconfig = ada.kubeconfig(&namespace, "shell").await;
    let pods = Pods::of(&kubeconfig, &namespace);
    assert!(pods.open(&cluster_token).await);

    let wrong = format!("{}?take_over_keys=maybe", machine.path());
    ada.delete(&wrong).await.problem(400, "invalid_field");
    let gone = ada.delete(&machine.path()).await.expect(200);
    assert_eq!(gone["ended"][0]["id"], key.item["id"]);
    assert_eq!(gone["taken_over"], json!([]));
    let refused = machine.caller.get("/v1/auth/session").await;
    refused.problem(401, "invalid_access_token");
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    eventually("the token ends", Duration::from_secs(20), async || {
        !pods.open(&cluster_token).await
    })
    .await;
    ada.get(&machine.path()).await.problem(404, "not_found");
    ada.delete(&machine.path()).await.problem(404, "not_found");
    // What it made that is no way in stays: a namespace, and the key's row.
    let path = format!(
        "/v1/kubernetes/namespaces/{}",
        namespace["id"].as_str().unwrap()
    );
    ada.get(&path).await.expect(200);
    let path = format!("/v1/account/api-keys/{}", key.id());
    let dead = ada.get(&path).await.expect(200);
    assert_eq!(
        (&dead["status"], &dead["created_by"]),
        (&json!("revoked"), &json!(machine.id))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_can_be_read_by_its_id() {
    // K7, N6, T8
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let namespace = ada.namespace("team-ml").await;
    let mut key = ada.key(json!({"all": true})).await.item;
    key.as_object_mut().unwrap().remove("key");
    let namespace_path = format!(
        "/v1/kubernetes/namespaces/{}",
        namespace["id"].as_str().unwrap()
    );
    let key_path = format!("/v1/account/api-keys/{}", key["id"].as_str().unwrap());
    assert_eq!(ada.get(&namespace_path).await.expect(200), namespace);
    assert_eq!(ada.get(&key_path).await.expect(200), key);
    let detail = bob.get(&key_path).await.problem(404, "api_key_not_found");
    assert_eq!(detail, "API key not found");
    bob.get(&namespace_path).await.problem(404, "not_found");
    ada.delete(&namespace_path).await.expect(202);
    eventually(
        "the namespace is gone",
        Duration::from_secs(20),
        async || {
            let found = ada.get(&namespace_path).await;
            if found.status == 200 {
                assert_eq!(found.json()["status"], "deleting");
            }
            found.status == 404
        },
    )
    .await;
}
