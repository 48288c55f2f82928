//! `/v1/account/api-keys`

mod create;
mod list;
mod revoke;
mod rotate;
mod scopes;
mod update;

use serde_json::{Value, json};

use crate::support::{Answer, Person};

const PATH: &str = "/v1/account/api-keys";

fn key_path(id: &str, act: &str) -> String {
    match act {
        "" => format!("{PATH}/{id}"),
        _ => format!("{PATH}/{id}/{act}"),
    }
}

/// Asks for a key of this name.
async fn create(person: &Person, name: &str) -> Answer {
    person
        .post(PATH, json!({"name": name, "scopes": {"all": true}}))
        .await
}

/// A key that was just revoked, and one that has just expired.
async fn dead_keys(person: &Person) -> [(&'static str, String); 2] {
    use crate::support::{eventually, in_millis};
    let revoked = create(person, "revoked").await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    person
        .post(&key_path(&revoked, "revoke"), json!({}))
        .await
        .expect(200);
    let body = json!({"name": "expired", "scopes": {"all": true}, "expires_at": in_millis(4_000)});
    let expired = person.post(PATH, body).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually(
        "the key expires",
        std::time::Duration::from_secs(20),
        async || status(person, &expired).await == "expired",
    )
    .await;
    [("revoked", revoked), ("expired", expired)]
}

/// The key's item in the list.
async fn item(person: &Person, id: &str) -> Value {
    let page = person.get(&format!("{PATH}?limit=200")).await.expect(200);
    let items = page["items"].as_array().unwrap();
    items.iter().find(|item| item["id"] == id).unwrap().clone()
}

async fn status(person: &Person, id: &str) -> String {
    item(person, id).await["status"]
        .as_str()
        .unwrap()
        .to_owned()
}
