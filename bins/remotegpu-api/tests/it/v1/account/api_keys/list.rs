//! `GET /v1/account/api-keys`

use serde_json::json;

use super::{PATH, create};
use crate::support::{Backend, Server};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_newest_first_in_pages() {
    // C4
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    assert_eq!(
        person.get(PATH).await.expect(200),
        json!({"items": [], "next_cursor": null})
    );
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(create(&person, &format!("key {n}")).await.expect(201)["id"].clone());
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let page = person
            .get(&format!("{PATH}?limit=2{cursor}"))
            .await
            .expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["id"].clone()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen, pages), (made, 3));
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1e2", "limit"),
        ("limit=%31%30%30%30", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=", "cursor"),
    ] {
        let answer = person.get(&format!("{PATH}?{query}")).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with(field), "{query}: {detail}");
    }
    for query in ["limit=200", "limit=1", "limit=%31", "utm_source=x"] {
        person.get(&format!("{PATH}?{query}")).await.expect(200);
    }
    // Nothing of another account.
    let other = server.person("other").await;
    assert_eq!(other.get(PATH).await.expect(200)["items"], json!([]));
}
