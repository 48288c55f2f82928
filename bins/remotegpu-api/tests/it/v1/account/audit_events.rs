//! `GET /v1/account/audit-events`

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, KeyHolder, Person, Server, client, eventually, in_millis, time_of,
};

const PATH: &str = "/v1/account/audit-events";

async fn events(person: &Person, query: &str) -> Vec<Value> {
    let page = person.get(&format!("{PATH}?limit=200{query}")).await;
    page.expect(200)["items"].as_array().unwrap().clone()
}

/// The newest event of this action, as soon as it is written.
async fn event(person: &Person, action: &str) -> Value {
    let query = format!("&action={action}");
    // Contract R5: a batch is written each second.
    eventually("the event is written", Duration::from_secs(5), async || {
        !events(person, &query).await.is_empty()
    })
    .await;
    events(person, &query).await[0].clone()
}

fn jti(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    claims["jti"].clone()
}

async fn what_is_done_is_told(backend: Backend) {
    // R5, K2
    let server = Server::start(backend).await;
    let ada = server.person("ada").await;
    let namespace = ada.namespace("team-ml").await;
    let issue = ada
        .request(reqwest::Method::POST, "/v1/account/api-keys")
        .header("x-request-id", "issue-1")
        .json(&json!({"name": "ci", "scopes": {"all": true}}));
    let issued = Answer::read(issue.send().await.unwrap()).await.expect(201);
    let key = KeyHolder::new(&server.url, issued.clone());
    let minted = key.mint(&namespace).await.expect(200);
    let path = format!("/v1/account/api-keys/{}/revoke", key.id());
    ada.post(&path, json!({})).await.expect(200);

    let session = ada.get("/v1/auth/session").await.expect(200);
    let mut told = event(&ada, "api_key.issued").await;
    assert!(time_of(&told["occurred_at"]) <= time_of(&in_millis(0).into()));
    told.as_object_mut().unwrap().remove("occurred_at");
    told.as_object_mut().unwrap().remove("id");
    assert_eq!(
        told,
        json!({
            "action": "api_key.issued",
            "actor": {"type": "user", "id": session["user"]["id"]},
            "subject": {"type": "api_key", "id": issued["id"]},
            "ip": "127.0.0.1",
            "request_id": "issue-1",
            "details": {"name": "ci", "prefix": issued["prefix"]},
        })
    );
    let revoked = event(&ada, "api_key.revoked").await;
    assert_eq!(revoked["subject"]["id"], issued["id"]);

    let told = event(&ada, "credential.minted").await;
    assert_eq!(
        told["actor"],
        json!({"type": "api_key", "id": issued["id"]})
    );
    let subject = json!({"type": "namespace", "id": namespace["id"]});
    assert_eq!(told["subject"], subject);
    let details = &told["details"];
    let token = minted["status"]["token"].as_str().unwrap();
    assert_eq!(details["token_id"], jti(token));
    assert!(details["identity"].as_str().unwrap().starts_with("key-"));
    let end = &minted["status"]["expirationTimestamp"];
    assert_eq!(time_of(&details["expires_at"]), time_of(end));

    let whole = Value::from(events(&ada, "").await).to_string();
    for secret in [key.key.as_str(), token, ada.session_token.as_str()] {
        assert!(!whole.contains(secret), "a secret is told: {whole}");
    }
    let order: Vec<Value> = events(&ada, "")
        .await
        .iter()
        .map(|e| e["action"].clone())
        .collect();
    assert_eq!(
        order,
        [
            "api_key.revoked",
            "credential.minted",
            "api_key.issued",
            "namespace.created",
            "session.signed_in",
            "account.created",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_told_on_sqlite() {
    what_is_done_is_told(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_told_on_postgresql() {
    what_is_done_is_told(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_told_to_the_user_s_account_alone() {
    // R5, A8
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    for email in [
        "ada@example.org",
        "nobody@example.org",
        "a-secret-typed-here",
    ] {
        let body = json!({"email": email, "password": "a wrong password", "cookie": false});
        let url = format!("{}/v1/auth/sign-in", server.url);
        let answer = client().post(url).json(&body).send().await.unwrap();
        Answer::read(answer).await.problem(401, "wrong_credentials");
    }
    let told = event(&ada, "user.sign_in_refused").await;
    assert_eq!(told["actor"], json!({"type": "anonymous", "id": null}));
    let user = &ada.get("/v1/auth/session").await.expect(200)["user"]["id"];
    assert_eq!(told["subject"], json!({"type": "user", "id": user}));
    assert_eq!(told["details"], json!({}));
    assert_eq!(events(&ada, "&action=user.sign_in_refused").await.len(), 1);
    assert_eq!(events(&bob, "").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_s_acts_are_told_and_events_outlive_a_restart() {
    // R5, A13
    let mut server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let namespace = ada.namespace("team-ml").await;
    let key = ada.key(json!({"all": true})).await;
    let account = ada.account_id().await;
    server.admin(&["account", "set-limit", &account, "--keys", "7"]);
    let told = event(&ada, "account.limits_set").await;
    assert_eq!(told["actor"], json!({"type": "operator", "id": null}));
    assert_eq!(
        (&told["ip"], &told["request_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        told["details"],
        json!({"changed": ["key_limit"], "key_limit": 7})
    );
    // A mint a moment before the end is written by the end.
    key.mint(&namespace).await.expect(200);
    server.restart().await;
    assert_eq!(events(&ada, "&action=credential.minted").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_events_and_only_their_own_account_s() {
    // A11, C6, R5
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    ada.namespace("team-ml").await;
    for role in ["read", "write", "admin"] {
        let email = format!("{role}@example.org");
        let member = server.colleague(&ada, &email, role).await;
        let answer = member.get(PATH).await;
        if role == "admin" {
            let items = answer.expect(200)["items"].clone();
            assert!(items.as_array().unwrap().len() > 5, "{items}");
        } else {
            answer.problem(403, "role_too_small");
        }
    }
    let bob = server.person("bob").await;
    let told: Vec<Value> = events(&bob, "")
        .await
        .iter()
        .map(|e| e["action"].clone())
        .collect();
    assert_eq!(told, ["session.signed_in", "account.created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_pages_and_filters() {
    // C4
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    for _ in 0..3 {
        ada.key(json!({"inference": true})).await;
    }
    let all = events(&ada, "").await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada
            .get(&format!("{PATH}?limit=2{cursor}"))
            .await
            .expect(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(events(&ada, "&action=api_key.issued").await.len(), 3);
    let newest = all[0]["occurred_at"].as_str().unwrap();
    assert_eq!(events(&ada, &format!("&since={newest}")).await, all[..1]);
    assert_eq!(
        events(&ada, "&since=2999-01-01T00:00:00Z").await,
        [] as [Value; 0]
    );
    for (query, field) in [
        ("action=api_key.eaten", "action"),
        ("action=", "action"),
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        (
            "since=2026-01-01T00:00:00Z&since=2026-01-01T00:00:00Z",
            "since",
        ),
        ("limit=0", "limit"),
    ] {
        let answer = ada.get(&format!("{PATH}?{query}")).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with(field), "{query}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_can_never_be_written_holds_up_no_other() {
    // R5
    let server = Server::start(Backend::Postgres).await;
    let ada = server.person("ada").await;
    let namespace = ada.namespace("team-ml").await;
    let key = ada.key(json!({"all": true})).await;
    let database = server.database.as_ref().unwrap();
    // One that the database names as refused, and one of which it says only that the
    // statement failed.
    database
        .query(
            "ALTER TABLE audit_events ADD CHECK (request_id <> 'poison-1');
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.request_id = 'poison-2' THEN RAISE EXCEPTION 'never'; END IF;
                RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON audit_events
                FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .unwrap();
    let path = format!(
        "{}/v1/kubernetes/namespaces/{}/exec-credential",
        server.url,
        namespace["id"].as_str().unwrap()
    );
    let mint = async |id: &str| {
        let request = client().post(&path).header("x-api-key", &key.key);
        let request = request.header("x-request-id", id);
        Answer::read(request.send().await.unwrap())
            .await
            .expect(200);
    };
    let written = async || {
        let minted = events(&ada, "&action=credential.minted").await;
        let ids = minted.iter().map(|event| event["request_id"].clone());
        ids.collect::<Vec<_>>()
    };
    for round in ["first", "second"] {
        for id in ["a", "poison-1", "b", "poison-2", "c"] {
            let id = if id.starts_with("poison") {
                id.to_owned()
            } else {
                format!("{round}-{id}")
            };
            mint(&id).await;
        }
        eventually(
            "the others are written",
            Duration::from_secs(10),
            async || {
                let ids = written().await;
                ["a", "b", "c"]
                    .iter()
                    .all(|id| ids.contains(&json!(format!("{round}-{id}"))))
            },
        )
        .await;
    }
    let log = server.log();
    assert!(log.contains("can never be written"), "{log}");
    // What is not named as refused may be written some day, and waits.
    let metrics = client().get(format!("{}/metrics", server.internal_url));
    let metrics = Answer::read(metrics.send().await.unwrap()).await.text;
    for line in [
        "remotegpu_audit_events_dropped_total 2",
        "remotegpu_audit_events_waiting 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}
