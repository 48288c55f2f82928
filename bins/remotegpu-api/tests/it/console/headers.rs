//! What comes with every page, and what a page brings along.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
};

use futures_util::future::join_all;
use serde_json::json;

use super::{
    gallery::gallery,
    reader::Page,
    visitor::{HTML, SESSION, Visitor, somebody},
};
use crate::support::{Answer, Backend, Person, Server, ServerOptions, client};

fn directives(page: &Page) -> BTreeSet<String> {
    let policies = page.answer.headers.get_all("content-security-policy");
    assert_eq!(policies.iter().count(), 1, "{}", page.path);
    let policy = page.answer.header("content-security-policy").unwrap();
    let parts = policy
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_does_or_allows_more_than_it_needs() {
    // H4, H2
    let server = Server::start(Backend::Sqlite).await;
    let pages = gallery(&server).await;
    assert!(pages.len() > 50, "{}", pages.len());
    every_page_forbids_what_it_does_not_need(&pages);
    no_page_holds_script_or_style_or_asks_elsewhere(&pages);
}

fn every_page_forbids_what_it_does_not_need(pages: &[Page]) {
    for page in pages {
        let header = |name: &str| {
            let values = page.answer.headers.get_all(name);
            assert!(values.iter().count() < 2, "{}: two {name}", page.path);
            page.answer.header(name).unwrap_or_default().to_owned()
        };
        let found = directives(page);
        for wanted in [
            "default-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(found.contains(wanted), "{}: {found:?}", page.path);
        }
        let allowed = [
            "script-src",
            "style-src",
            "img-src",
            "connect-src",
            "font-src",
            "manifest-src",
        ];
        for directive in &found {
            let mut words = directive.split(' ');
            let name = words.next().unwrap();
            let sources: Vec<&str> = words.collect();
            let known = ["default-src", "base-uri", "form-action", "frame-ancestors"];
            assert!(
                known.contains(&name) || allowed.contains(&name),
                "{directive}"
            );
            let one = sources == ["'self'"] || sources == ["'none'"];
            assert!(one, "{}: {directive}", page.path);
        }
        assert_eq!(header("cache-control"), "no-store", "{}", page.path);
        assert!(
            header("vary").contains("hx-request"),
            "{}: {}",
            page.path,
            header("vary")
        );
        assert_eq!(header("referrer-policy"), "same-origin", "{}", page.path);
        assert_eq!(
            header("cross-origin-opener-policy"),
            "same-origin",
            "{}",
            page.path
        );
        assert_eq!(header("x-content-type-options"), "nosniff", "{}", page.path);
        assert!(
            page.answer.header("x-request-id").is_some(),
            "{}",
            page.path
        );
        assert!(page.answer.header("access-control-allow-origin").is_none());
        assert!(
            page.answer.header("strict-transport-security").is_none(),
            "without TLS"
        );
    }
}

fn no_page_holds_script_or_style_or_asks_elsewhere(pages: &[Page]) {
    for page in pages {
        let path = &page.path;
        assert!(
            page.all("style, iframe, object, embed, base, meta[http-equiv]")
                .is_empty(),
            "{path}"
        );
        for script in page.all("script") {
            assert!(
                script.attr("src").is_some() && script.inner_html().is_empty(),
                "{path}"
            );
        }
        for element in page.all("*") {
            for (name, value) in element.value().attrs() {
                let name = name.to_lowercase();
                assert!(
                    !name.starts_with("on") && name != "style",
                    "{path}: {name}={value}"
                );
                assert!(!name.starts_with("hx-on"), "{path}: {name}={value}");
                let plain: String = value.chars().filter(|c| !c.is_whitespace()).collect();
                let plain = plain.to_lowercase();
                for scheme in ["javascript:", "js:", "data:", "vbscript:"] {
                    assert!(!plain.starts_with(scheme), "{path}: {name}={value}");
                }
                let leads = ["href", "src", "action", "formaction", "srcset", "poster"];
                if leads.contains(&&*name) {
                    let own = value.starts_with('/') && !value.starts_with("//");
                    assert!(own || value.starts_with('#'), "{path}: {name}={value}");
                }
            }
        }
    }
}

async fn asset(server: &Server, path: &str, encoding: Option<&str>) -> (u16, Answer, Vec<u8>) {
    let mut request = client().get(format!("{}{path}", server.url));
    if let Some(encoding) = encoding {
        request = request.header("accept-encoding", encoding);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap().to_vec();
    let text = String::new();
    (
        status.as_u16(),
        Answer {
            status,
            headers,
            text,
        },
        bytes,
    )
}

/// What a page loads by itself.
fn loaded(page: &Page) -> Vec<String> {
    let links = page
        .all("link[href]")
        .into_iter()
        .filter_map(|link| link.attr("href"));
    let others = page.all("script[src], img[src]").into_iter();
    links
        .chain(others.filter_map(|other| other.attr("src")))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_have_their_hash_in_their_name_and_stay_for_ever() {
    // H4
    let server = Server::start(Backend::Sqlite).await;
    let page = Visitor::new(&server.url).open("/sign-in").await;
    let all = loaded(&page);
    assert!(all.len() >= 3, "{all:?}");
    let mut hashes = BTreeSet::new();
    for path in &all {
        let parts: Vec<&str> = path.split('/').collect();
        assert_eq!((parts[1], parts.len()), ("assets", 4), "{path}");
        assert!(hashes.insert(parts[2].to_owned()), "{path}");
        let (status, answer, plain) = asset(&server, path, None).await;
        assert_eq!(status, 200, "{path}");
        let cached = answer.header("cache-control").unwrap();
        assert!(
            cached.contains("immutable") && cached.contains("max-age=31536000"),
            "{cached}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("set-cookie").is_none());
        let kind = answer.header("content-type").unwrap();
        let wanted = match parts[3].rsplit('.').next().unwrap() {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{other}"),
        };
        assert_eq!(kind, wanted, "{path}");
        let (_, squeezed, bytes) = asset(&server, path, Some("br, gzip")).await;
        if squeezed.header("content-encoding") == Some("gzip") {
            assert!(
                bytes.len() < plain.len() && bytes.starts_with(&[0x1F, 0x8B]),
                "{path}"
            );
            assert!(squeezed.header("vary").unwrap().contains("accept-encoding"));
        }
        let (_, refused, bytes) = asset(&server, path, Some("gzip;q=0")).await;
        assert_eq!(
            (refused.header("content-encoding"), bytes),
            (None, plain),
            "{path}"
        );
        for wrong in [
            path.replace(parts[2], "AAAAAAAAAAAA"),
            path.replace(parts[2], &parts[2].to_lowercase()),
            path.replace(parts[3], "other.css"),
            path.replace(parts[3], "..%2F..%2Fetc%2Fpasswd"),
            format!("{path}/"),
        ] {
            if wrong == *path {
                continue;
            }
            let (status, answer, _) = asset(&server, &wrong, None).await;
            assert_eq!(status, 404, "{wrong}");
            let cached = answer.header("cache-control").unwrap_or_default();
            assert!(!cached.contains("immutable"), "{wrong}: {cached}");
        }
    }
}

/// How many bytes one request takes on the wire, both ways.
fn on_the_wire(url: &str, path: &str, cookie: Option<&str>) -> usize {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let cookie = cookie.map_or(String::new(), |cookie| {
        format!("cookie: {SESSION}={cookie}\r\n")
    });
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: {HTML}\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\naccept-language: en-US,en;q=0.9\r\n{cookie}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    request.len() + answer.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_load_of_a_full_page_is_small() {
    // H4
    let options = ServerOptions::new(Backend::Sqlite)
        .with("key-limit", "200")
        .with("namespace-limit", "100");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let made = (0..50).map(|at| {
        let body = json!({"name": format!("{at:02}-{}", uuid::Uuid::new_v4())});
        let person = &person;
        async move {
            person
                .post("/v1/kubernetes/namespaces", body)
                .await
                .expect(201)
        }
    });
    let namespaces: Vec<String> = join_all(made)
        .await
        .iter()
        .map(|made| made["id"].as_str().unwrap().to_owned())
        .collect();
    for at in 0..60 {
        let name = format!("{at:02} {}-\u{1F600}", uuid::Uuid::new_v4());
        let scopes = json!({"kubernetes_exec": {"namespace_ids": namespaces[..5]}});
        let body = json!({"name": name, "scopes": scopes});
        person.post("/v1/account/api-keys", body).await.expect(201);
    }
    let again = || Person::sign_in(&server.url, "ada@example.org", "password of ada");
    for _ in 0..25 {
        // More at once would be refused: passwords have few workers.
        tokio::join!(again(), again());
    }
    let key = visitor.open("/settings/api-keys").await;
    assert_eq!(key.rows().len(), 50);
    let key = key.all("tbody a")[0].attr("href").unwrap().to_owned();
    for path in [
        "/kubernetes".to_owned(),
        format!("/kubernetes/{}", namespaces[0]),
        "/settings/api-keys".to_owned(),
        "/settings/api-keys?create=1".to_owned(),
        format!("{key}?change=1"),
        "/settings/audit".to_owned(),
        "/settings/account".to_owned(),
        "/sign-in".to_owned(),
    ] {
        let cookie = (path != "/sign-in").then_some(&*person.session_token);
        let page = match cookie {
            Some(_) => visitor.open(&path).await,
            None => Visitor::new(&server.url).open(&path).await,
        };
        let mut bytes = on_the_wire(&server.url, &path, cookie);
        for asset in loaded(&page) {
            bytes += on_the_wire(&server.url, &asset, cookie);
        }
        println!("{path}: {bytes} bytes");
        assert!(bytes <= 100_000, "{path}: {bytes} bytes");
    }
}
