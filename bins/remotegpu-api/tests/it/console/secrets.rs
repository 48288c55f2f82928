//! A secret stands in the one answer that made it.

use super::{
    reader::Page,
    visitor::{Visitor, make_key, somebody},
};
use crate::support::{Backend, Server, ServerOptions};

const PAGE: &str = "/settings/api-keys";

/// Looks wherever somebody may look.
async fn nowhere(server: &Server, visitor: &Visitor, secret: &str) {
    let id = visitor.open(PAGE).await.all("tbody a")[0]
        .attr("href")
        .unwrap()
        .to_owned();
    for path in [
        PAGE,
        &id,
        &format!("{id}?rotate=1"),
        &format!("{PAGE}?q={}", &secret[..13]),
        "/kubernetes",
        "/settings/audit",
        "/settings/audit.csv",
        "/settings/account",
        "/v1/account/api-keys",
        "/v1/account/audit-events",
    ] {
        let page = visitor.open(path).await;
        assert!(!page.answer.text.contains(secret), "{path}");
        assert!(
            !format!("{:?}", page.answer.headers).contains(secret),
            "{path}"
        );
    }
    // What is searched for is a prefix, which is no secret; what is behind it is.
    let log = server.log();
    assert!(
        !log.contains(secret) && !log.contains(&secret[13..]),
        "it is in the log"
    );
}

fn dump(server: &Server) -> Vec<u8> {
    match &server.database {
        Some(database) => {
            let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
            let tables = database.query(tables).unwrap();
            let dump = |table: &str| {
                let sql = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
                database.query(&sql).unwrap()
            };
            tables.lines().map(dump).collect::<String>().into_bytes()
        }
        None => ["remotegpu.db", "remotegpu.db-wal"]
            .iter()
            .flat_map(|file| std::fs::read(server.path("data").join(file)).unwrap_or_default())
            .collect(),
    }
}

fn contains(dump: &[u8], needle: &[u8]) -> bool {
    dump.windows(needle.len()).any(|part| part == needle)
}

fn hex(text: &str) -> Vec<u8> {
    use std::fmt::Write;
    let mut hex = String::new();
    for byte in text.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex.into_bytes()
}

async fn it_stands_in_one_answer_alone(backend: Backend) {
    // H5, K2, H3
    let server = Server::start_with(ServerOptions::new(backend).with("log", "trace")).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let page = visitor.open(&format!("{PAGE}?create=1")).await;
    let form = page
        .form("Create API key")
        .fill("Name", "laptop")
        .choose("All");
    let made = visitor.submit(&form).await.expect(200);
    let first = made.secret();
    assert_eq!(made.answer.header("cache-control"), Some("no-store"));
    assert!(!made.title().contains("rgpu_"));
    for address in made.all("[href], [action], [src], [title]") {
        for name in ["href", "action", "src", "title"] {
            let value = address.attr(name).unwrap_or_default();
            assert!(!value.contains(&first), "{name}={value}");
        }
    }
    assert!(!format!("{:?}", made.answer.headers).contains(&first));
    // It stands where `pagehide` empties it, and nowhere outside.
    let all = made.answer.text.matches(&first).count();
    let boxes = made.all("[data-secret]");
    assert_eq!(boxes.len(), 1);
    assert_eq!(boxes[0].html().matches(&first).count(), all);
    nowhere(&server, &visitor, &first).await;
    // While the answer is kept, and after.
    let id = form.hidden("form").to_owned();
    let kept = dump(&server);
    assert!(contains(&kept, b"ada@example.org"), "the dump is empty");
    for needle in [&first, &id] {
        assert!(!contains(&kept, needle.as_bytes()) && !contains(&kept, &hex(needle)));
    }
    let log = server.log();
    assert!(
        !log.contains(&id),
        "the form's identifier opens the answer, and is in the log"
    );
    let row = visitor.open(PAGE).await;
    let address = row.link("laptop");
    let rotate = visitor.open(&format!("{address}?rotate=1")).await;
    let rotated = visitor.submit(&rotate.form("Rotate key")).await.expect(200);
    let second = rotated.secret();
    let wait = visitor.press(&rotated, "I have saved this key").await;
    assert!(!wait.answer.text.contains(&second));
    for secret in [&first, &second] {
        nowhere(&server, &visitor, secret).await;
        assert!(!contains(&dump(&server), secret.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_stands_in_one_answer_alone_on_sqlite() {
    it_stands_in_one_answer_alone(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_stands_in_one_answer_alone_on_postgresql() {
    it_stands_in_one_answer_alone(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_downloaded_by_sending_it_back() {
    // H5
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).with("log", "trace")).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let (_, other) = somebody(&server, "bob").await;
    let made = make_key(&visitor, "laptop \"x\"; ../é").await;
    let form = made.form("Download as a file");
    let headers = |page: &Page, name: &str| page.answer.header(name).unwrap().to_owned();
    // As often as one likes: nothing happens by it.
    for _ in 0..2 {
        let file = visitor.submit(&form).await.expect(200);
        assert_eq!(file.answer.text, format!("{}\n", made.secret()));
        assert_eq!(headers(&file, "content-type"), "text/plain; charset=utf-8");
        assert_eq!(headers(&file, "cache-control"), "no-store");
        assert_eq!(headers(&file, "x-content-type-options"), "nosniff");
        let named = headers(&file, "content-disposition");
        let name = named.strip_prefix("attachment; filename=\"").unwrap();
        let name = name.strip_suffix('"').unwrap();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        assert!(name.chars().all(fits) && !name.contains(".."), "{named}");
    }
    let wrong = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57W";
    for text in [
        "",
        "hello",
        "<script>alert(1)</script>",
        wrong,
        &format!("{}\nx", made.secret()),
    ] {
        let page = visitor
            .submit(&form.clone().forge("key", text))
            .await
            .expect(400);
        assert!(page.answer.header("content-disposition").is_none());
        if !text.is_empty() {
            assert!(!page.answer.text.contains(text), "{text}");
        }
    }
    for form in [
        form.clone().without("form"),
        form.clone().forge("form", "x"),
        form.clone()
            .forge("form", made.form("I have saved this key").hidden("form")),
    ] {
        visitor.submit(&form).await.expect(403);
    }
    other.submit(&form).await.expect(403);
    visitor
        .submit(&form.clone().and("x", "y"))
        .await
        .expect(400);
    visitor
        .submit(&form.clone().and("key", wrong))
        .await
        .expect(400);
    assert!(!server.log().contains(&made.secret()));
}
