//! Who did what, on its page and in its file.

use serde_json::json;

use super::{
    reader::Page,
    visitor::{Visitor, make_key, somebody},
};
use crate::support::{Backend, Person, Server, ServerOptions};

const PAGE: &str = "/settings/audit";

/// The lines of a CSV (RFC 4180).
fn parsed(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(String::new()),
            ('\r', false) => {}
            ('\n', false) => rows.push(vec![String::new()]),
            (c, _) => row.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "a quotation that does not end");
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line ends");
    rows
}

async fn filtered(visitor: &Visitor, fields: &[(&str, &str)]) -> Page {
    let page = visitor.open(PAGE).await;
    let mut form = page.form("Show events");
    assert_eq!(form.method, "get");
    for (label, value) in fields {
        form = if *label == "Action" {
            form.select(label, value)
        } else {
            form.fill(label, value)
        };
    }
    visitor.submit(&form).await
}

async fn events(person: &Person) -> Vec<serde_json::Value> {
    let events = person
        .get("/v1/account/audit-events?limit=200")
        .await
        .expect(200);
    events["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_shown_and_filtered_in_the_address() {
    // R5, H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let colleague = server.colleague(&person, "eve@example.org", "write").await;
    make_key(&visitor, "laptop").await;
    make_key(&Visitor::of(&colleague), "hers").await;
    person.namespace("team-ml").await;
    let page = visitor.open(PAGE).await;
    assert_eq!(page.heading(), "Settings / Audit");
    let all = events(&person).await;
    let shown = page.column("Action");
    let told: Vec<_> = all
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(shown, told);
    let rows = page.rows();
    let row = rows
        .iter()
        .find(|row| row["Details"].contains("laptop"))
        .unwrap();
    assert_eq!(
        (&*row["Action"], &*row["Address"]),
        ("api_key.issued", "127.0.0.1")
    );
    assert!(
        row["Actor"].starts_with("user") && row["Subject"].starts_with("api_key"),
        "{row:?}"
    );
    let event = all
        .iter()
        .find(|event| event["details"]["name"] == "laptop");
    let event = event.unwrap_or_else(|| panic!("{all:#?}"));
    assert_eq!(
        row["Request"],
        event["request_id"].as_str().unwrap_or_default()
    );
    // Each filter, and two together.
    let issued = filtered(&visitor, &[("Action", "api_key.issued")])
        .await
        .expect(200);
    assert_eq!(
        issued.column("Action"),
        ["api_key.issued", "api_key.issued"]
    );
    assert_eq!(issued.value("Action"), "api_key.issued");
    assert!(
        issued.path.contains("action=api_key.issued"),
        "{}",
        issued.path
    );
    let actor = all
        .iter()
        .find(|event| event["details"]["name"] == "hers")
        .unwrap();
    let eve = actor["actor"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{actor}"));
    let hers = filtered(&visitor, &[("Actor", eve), ("Action", "api_key.issued")]).await;
    assert_eq!(hers.expect(200).rows().len(), 1);
    let id = event["subject"]["id"].as_str().unwrap();
    let subject = filtered(&visitor, &[("Subject", id)]).await.expect(200);
    assert_eq!(subject.rows().len(), 1);
    assert_eq!(subject.value("Subject"), id);
    // The time, by days that count whole.
    let today = &all[0]["occurred_at"].as_str().unwrap()[..10];
    let days = [("From", today), ("To", today)];
    assert_eq!(
        filtered(&visitor, &days).await.expect(200).rows().len(),
        all.len()
    );
    let late = filtered(&visitor, &[("From", "2199-01-01")])
        .await
        .expect(200);
    late.says("Nothing of this kind has happened");
    assert_eq!(late.value("From"), "2199-01-01");
    assert!(
        filtered(&visitor, &[("To", "2020-01-01")])
            .await
            .expect(200)
            .rows()
            .is_empty()
    );
    // What is shown is what the file holds.
    let link = issued.link("Download CSV");
    assert!(link.starts_with("/settings/audit.csv?") && link.contains("action=api_key.issued"));
    let file = visitor.open(&link).await;
    assert_eq!(parsed(&file.answer.text).len(), 3);
    // What is no filter is told at its field, with what was typed.
    for (label, name, value) in [
        ("Actor", "actor", "eve\"><b>"),
        ("Subject", "subject", "1234"),
        ("From", "since", "yesterday"),
        ("To", "until", "2027-02-30"),
        ("Action", "action", "api_key.stolen"),
    ] {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair(name, value).finish();
        let page = visitor.get(&format!("{PAGE}?{query}")).await.expect(400);
        assert!(!page.error_at(label).is_empty(), "{label}");
        if label != "Action" {
            assert_eq!(page.value(label), value);
        }
        let csv = visitor.get(&format!("/settings/audit.csv?{query}")).await;
        assert_eq!(csv.status(), 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_pages_with_their_filter() {
    // R5, C4
    let options = ServerOptions::new(Backend::Sqlite).with("key-limit", "200");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    for at in 0..60 {
        let body = json!({"name": format!("key {at:02}"), "scopes": {"all": true}});
        person.post("/v1/account/api-keys", body).await.expect(201);
    }
    person.namespace("team-ml").await;
    let page = filtered(&visitor, &[("Action", "api_key.issued")])
        .await
        .expect(200);
    assert_eq!(page.rows().len(), 50);
    let link = page.link("Load more");
    assert!(
        link.contains("action=api_key.issued") && !link.contains("?&"),
        "{link}"
    );
    let rest = visitor.open(&link).await;
    assert_eq!(rest.column("Action"), vec!["api_key.issued"; 10]);
    assert!(!rest.has_link("Load more"));
    // The file holds all of them, however many there are.
    let file = visitor.open(&page.link("Download CSV")).await;
    assert_eq!(parsed(&file.answer.text).len(), 61);
    let all = visitor.open("/settings/audit.csv").await;
    assert_eq!(
        parsed(&all.answer.text).len(),
        events(&person).await.len() + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_the_file_is_a_formula() {
    // H7
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let names = [
        "=HYPERLINK(\"https://evil.example\",\"x\")",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "plain, \"quoted\"; 'x'",
    ];
    for name in names {
        make_key(&visitor, name).await;
    }
    let file = visitor.open("/settings/audit.csv").await;
    assert_eq!(
        file.answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    let disposition = file.answer.header("content-disposition").unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\""),
        "{disposition}"
    );
    assert_eq!(file.answer.header("cache-control"), Some("no-store"));
    let rows = parsed(&file.answer.text);
    let columns = rows[0].len();
    for row in &rows {
        assert_eq!(row.len(), columns, "{row:?}");
        for cell in row {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{cell}"
            );
        }
    }
    let all: Vec<&String> = rows.iter().flatten().collect();
    for name in names {
        let marked = if name.starts_with("plain") {
            name.to_owned()
        } else {
            format!("'{name}")
        };
        assert!(
            all.iter().any(|cell| cell.starts_with(&marked)),
            "{marked}: {rows:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_events_alone() {
    // R5, C6
    let server = Server::start(Backend::Sqlite).await;
    let (person, ada) = somebody(&server, "ada").await;
    let (_, bob) = somebody(&server, "bob").await;
    make_key(&ada, "of-ada").await;
    let account = person.account_id().await;
    let id = events(&person).await[0]["subject"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in [
        PAGE.to_owned(),
        "/settings/audit.csv".to_owned(),
        format!("{PAGE}?subject={id}"),
        format!("/settings/audit.csv?subject={id}"),
        format!("{PAGE}?account={account}"),
    ] {
        let page = bob.open(&path).await;
        assert!(!page.answer.text.contains("of-ada"), "{path}");
    }
}
