//! `GET /v1/account/access-tokens`, and one of them, and its end

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{PATH, create, token_path};
use crate::support::{Backend, Person, Server, eventually};

async fn names(person: &Person) -> Vec<String> {
    let listed = person.get(PATH).await.expect(200);
    let items = listed["items"].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_and_deletes_their_own_and_an_admin_all() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let reader = server.colleague(&admin, "ro@example.org", "read").await;
    let writer = server.colleague(&admin, "rw@example.org", "write").await;
    let stranger = server.person("stranger").await;
    let of_admin = create(&admin, "of admin", &["dev"]).await.expect(201);
    let of_reader = create(&reader, "of reader", &["dev"]).await.expect(201);
    let of_writer = create(&writer, "of writer", &["dev"]).await.expect(201);
    assert_eq!(names(&admin).await, ["of writer", "of reader", "of admin"]);
    assert_eq!(names(&reader).await, ["of reader"]);
    assert_eq!(names(&writer).await, ["of writer"]);
    assert_eq!(names(&stranger).await, Vec::<String>::new());
    // Another's is one that does not exist (C6).
    let unknown = json!("cwtoken-0123456789");
    for (person, id) in [
        (&reader, &of_admin["id"]),
        (&reader, &of_writer["id"]),
        (&writer, &of_reader["id"]),
        (&stranger, &of_admin["id"]),
        (&admin, &unknown),
        (&admin, &json!(Uuid::new_v4().to_string())),
    ] {
        let path = token_path(id);
        let (seen, deleted) = (person.get(&path).await, person.delete(&path).await);
        seen.problem(404, "not_found");
        deleted.problem(404, "not_found");
        let nothing = person.get(&token_path(&unknown)).await;
        assert_eq!(seen.without_request_id(), nothing.without_request_id());
    }
    assert_eq!(names(&admin).await.len(), 3);
    reader
        .delete(&token_path(&of_reader["id"]))
        .await
        .expect(204);
    admin
        .delete(&token_path(&of_writer["id"]))
        .await
        .expect(204);
    assert_eq!(names(&admin).await, ["of admin"]);
    writer
        .get(&token_path(&of_writer["id"]))
        .await
        .problem(404, "not_found");
    writer
        .delete(&token_path(&of_writer["id"]))
        .await
        .problem(404, "not_found");
    // R5
    let path = "/v1/account/audit-events?action=access_token.deleted";
    let events = admin.get(path).await.expect(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["details"]["token_id"], of_writer["id"]);
    assert_eq!(events[0]["details"]["name"], "of writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_listed_newest_first_in_pages() {
    // C4, T5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    for n in 0..5 {
        create(&person, &format!("{n}"), &["dev"]).await.expect(201);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit=2"));
    loop {
        let page = person.get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap().iter();
        seen.extend(items.map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("{PATH}?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
    person
        .get(&format!("{PATH}?limit=0"))
        .await
        .problem(400, "invalid_field");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_one_never_reads_active() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let body = json!({"name": "short", "clusters": ["dev"], "expires_in_seconds": 1});
    let made = person.post(PATH, body).await.expect(201);
    assert_eq!(made["status"], "active");
    let path = token_path(&made["id"]);
    eventually("it is expired", Duration::from_secs(10), async || {
        person.get(&path).await.expect(200)["status"] == "expired"
    })
    .await;
    let listed = person.get(PATH).await.expect(200);
    assert_eq!(listed["items"][0]["status"], "expired");
    person.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_the_password_ends_them() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let writer = server.colleague(&admin, "rw@example.org", "write").await;
    create(&admin, "of admin", &["dev"]).await.expect(201);
    create(&writer, "of writer", &["dev"]).await.expect(201);
    // A change of one's own does not.
    let body = json!({"current": "password of rw@example.org", "new": "another password of rw"});
    writer.put("/v1/auth/password", body).await.expect(204);
    assert_eq!(names(&admin).await, ["of writer", "of admin"]);
    server.admin(&["user", "reset-password", "rw@example.org"]);
    assert_eq!(names(&admin).await, ["of admin"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_ends_them_all() {
    // R7
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    for name in ["one", "two"] {
        create(&ada, name, &["dev"]).await.expect(201);
    }
    let of_bob = create(&bob, "of bob", &["dev"]).await.expect(201);
    let counted = server.admin(&["end-all", "access-tokens"]);
    assert!(
        counted.starts_with("would end 3 access tokens in 2 accounts:"),
        "{counted}"
    );
    assert_eq!(names(&ada).await, ["two", "one"]);
    let account = ada.account_id().await;
    let ended = server.admin(&["end-all", "access-tokens", "--account", &account, "--yes"]);
    assert!(
        ended.starts_with("ended 2 access tokens in 1 account:"),
        "{ended}"
    );
    assert_eq!(names(&ada).await, Vec::<String>::new());
    assert_eq!(names(&bob).await, ["of bob"]);
    let ids = server.path("ids");
    let text = format!(
        "{} # leaked\ncwtoken-0123456789\n",
        of_bob["id"].as_str().unwrap()
    );
    std::fs::write(&ids, text).unwrap();
    let ids = ids.display().to_string();
    let ended = server.admin(&["end-all", "access-tokens", "--ids", &ids, "--yes"]);
    assert!(
        ended.starts_with("ended 1 access token in 1 account:"),
        "{ended}"
    );
    assert!(
        ended.contains("1 of the identifiers is not known"),
        "{ended}"
    );
    assert_eq!(names(&bob).await, Vec::<String>::new());
}
