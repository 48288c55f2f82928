//! What somebody else has typed is text, and no more.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use super::{
    reader::Page,
    visitor::{Visitor, sign_in, somebody},
};
use crate::support::{Backend, Server, ServerOptions};

/// Text that would like to be more than that.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<script>alert(1)</script>"),
        Just("\"><img src=x onerror=alert(1)>"),
        Just("'onmouseover='alert(1)"),
        Just("</title><b>"),
        Just("</textarea>"),
        Just("<!--"),
        Just("-->"),
        Just("]]>"),
        Just("&lt;b&gt;"),
        Just("&#x202e;"),
        Just("&amp"),
        Just("`"),
        Just("{{7*7}}"),
        Just("${7*7}"),
        Just("javascript:alert(1)"),
        Just("\u{5E9}\u{5DC}\u{5D5}\u{5DD}"),
        Just("\u{FF1C}b\u{FF1E}"),
        Just("\u{200D}\u{1F468}"),
        Just("%3Cb%3E"),
        Just("+ \\ / ? #"),
        Just("=1+1"),
    ];
    let text = prop::collection::vec(
        prop_oneof![3 => part.prop_map(str::to_owned), 1 => "\\PC{1,8}"],
        1..5,
    );
    text.prop_map(|parts| {
        let all = parts.concat();
        // K4: what a name may hold at all.
        let fits = |c: &char| !c.is_control() && !is_steering(*c);
        let name: String = all.chars().filter(fits).take(60).collect();
        format!("x{}x", name.trim())
    })
}

/// Line and paragraph separators, and what turns the direction of text (contract K4).
fn is_steering(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn some<S: Strategy>(of: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::new(Config::default());
    (0..count)
        .map(|_| of.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// Whether a page is what it would be without them: nothing in it is an element, attribute
/// or address that the page does not make by itself.
#[track_caller]
fn is_unharmed(page: &Page) {
    let path = &page.path;
    assert!(page.status() < 500, "{path}: {}", page.status());
    assert!(
        page.html.errors.is_empty(),
        "{path}: {:?}",
        page.html.errors
    );
    assert!(
        page.all("img, b, textarea, style, iframe").is_empty(),
        "{path}"
    );
    assert_eq!(
        page.all("script").len(),
        page.all("script[src]").len(),
        "{path}"
    );
    assert_eq!(page.all("title").len(), 1, "{path}");
    for element in page.all("*") {
        for (name, value) in element.value().attrs() {
            assert!(
                !name.starts_with("on") && name != "style" && name != "src"
                    || name == "src" && value.starts_with("/assets/"),
                "{path}: {name}={value}"
            );
            if name == "href" || name == "action" {
                assert!(
                    value.starts_with('/') || value.starts_with('#'),
                    "{path}: {value}"
                );
            }
        }
    }
    assert!(!page.answer.text.contains("<!--"), "{path}");
    assert!(!page.answer.text.chars().any(is_steering), "{path}");
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_s_name_is_text_wherever_it_stands() {
    // H7, K4
    let options = ServerOptions::new(Backend::Sqlite).with("key-limit", "1000");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let names = some(&hostile(), 150);
    let mut addresses = Vec::new();
    for name in &names {
        let body = json!({"name": name, "scopes": {"all": true}});
        let answer = person.post("/v1/account/api-keys", body).await;
        let made = answer.expect(201);
        addresses.push(format!(
            "/settings/api-keys/{}",
            made["id"].as_str().unwrap()
        ));
    }
    let mut shown = Vec::new();
    let mut path = "/settings/api-keys?limit=60".to_owned();
    loop {
        let page = visitor.open(&path).await;
        is_unharmed(&page);
        shown.extend(page.column("Name"));
        if !page.has_link("Load more") {
            break;
        }
        path = page.link("Load more");
    }
    shown.reverse();
    let wanted: Vec<String> = names.iter().map(|name| squeezed(name)).collect();
    assert_eq!(shown, wanted);
    let page = visitor.open("/settings/audit?limit=200").await;
    is_unharmed(&page);
    let details = page.column("Details").join("\n");
    for name in &wanted {
        assert!(details.contains(name), "{name}");
    }
    for (name, address) in names.iter().zip(&addresses).take(25) {
        let page = visitor.open(address).await;
        is_unharmed(&page);
        assert_eq!(page.heading(), squeezed(name));
        assert_eq!(page.title(), squeezed(&format!("{name} · RemoteGPU")));
        let like = visitor.open(&page.link("Make one like this")).await;
        is_unharmed(&like);
        assert_eq!(&like.value("Name"), name);
        for dialog in ["change", "rotate", "revoke"] {
            let page = visitor.open(&format!("{address}?{dialog}=1")).await;
            is_unharmed(&page);
            if dialog == "change" {
                assert_eq!(&page.value("Name"), name);
            }
        }
        // Searched for by itself.
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("q", name).finish();
        let found = visitor.open(&format!("/settings/api-keys?{query}")).await;
        is_unharmed(&found);
        assert_eq!(&found.value("Search in names and prefixes"), name);
        assert!(
            found.column("Name").contains(&squeezed(name)),
            "not found by its own name: {name}"
        );
    }
    // Made by the form, shown with its secret, downloaded.
    let form = visitor
        .open("/settings/api-keys?create=1")
        .await
        .form("Create API key");
    for name in names.iter().take(10) {
        let fresh = visitor
            .open("/settings/api-keys?create=1")
            .await
            .form("Create API key");
        let form = form.clone().forge("form", fresh.hidden("form"));
        let made = visitor
            .submit(&form.fill("Name", name).choose("All"))
            .await
            .expect(200);
        is_unharmed(&made);
        made.says(&squeezed(name));
        visitor
            .submit(&made.form("Download as a file"))
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_comes_back_as_text() {
    // H3, H7
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let namespace = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let create = visitor
        .open("/kubernetes?create=1")
        .await
        .form("Create namespace");
    let rename = visitor
        .open(&format!("{namespace}?rename=1"))
        .await
        .form("Rename namespace");
    let delete = visitor
        .open(&format!("{namespace}?delete=1"))
        .await
        .form("Delete namespace");
    let key = visitor
        .open("/settings/api-keys?create=1")
        .await
        .form("Create API key");
    let nobody = Visitor::new(&server.url);
    let into = nobody.open("/sign-in").await.form("Sign in");
    for (at, text) in some(&hostile(), 12).into_iter().enumerate() {
        for (form, label) in [
            (&create, "Name"),
            (&rename, "Name"),
            (&delete, "Type team-ml to confirm"),
        ] {
            let page = visitor
                .submit(&form.clone().fill(label, &text))
                .await
                .expect(400);
            is_unharmed(&page);
            assert_eq!(page.value(label), text);
        }
        let long = format!("{text}{}", "y".repeat(64));
        let forms = [
            key.clone().fill("Name", &long),
            key.clone()
                .fill("Name", "x")
                .fill("The date", &text)
                .select("Ends", "A date"),
            key.clone().forge("ends", &text),
            key.clone().forge("scope", &text),
            key.clone().forge("reach", &text).forge("scope", &text),
            key.clone().and("namespace", &text).choose("Only these:"),
            key.clone().and(&text, &text),
            create.clone().fill("Name", "x").forge("cluster", &text),
        ];
        for form in forms {
            let page = visitor.submit(&form).await.expect(400);
            is_unharmed(&page);
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in [
            "next", "create", "name", "scope", "reach", "ends", "date", "q", "actor", "action",
        ] {
            query.append_pair(name, &text);
        }
        let query = query.append_pair("namespace", &text).finish();
        for path in [
            "/kubernetes",
            &namespace,
            "/settings/api-keys",
            "/settings/audit",
        ] {
            is_unharmed(&visitor.get(&format!("{path}?{query}")).await);
        }
        is_unharmed(&nobody.get(&format!("/sign-in?{query}")).await);
        is_unharmed(&nobody.get(&format!("/{query}")).await);
        // What a session's end carries along.
        let stopped = nobody
            .submit(&key.clone().fill("Name", &text))
            .await
            .expect(401);
        is_unharmed(&stopped);
        // Signing in has its own limit.
        if at < 5 {
            let wrong = into.clone().fill("E-mail", &text).fill("Password", &text);
            let page = nobody.submit(&wrong).await;
            is_unharmed(&page);
            assert_eq!(page.value("E-mail"), text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_calls_itself_something_is_shown_as_text() {
    // H7
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let mut agents = vec![
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "a\u{202E}b\u{2066}c".to_owned(),
        "a\u{200F}\u{61C}b".to_owned(),
        "x".repeat(5000),
    ];
    agents.extend(some(&hostile(), 8));
    for agent in &agents {
        let other = Visitor::new(&server.url).with_agent(agent.as_bytes());
        sign_in(&other, "ada").await.expect(200);
    }
    // No text at all.
    let other = Visitor::new(&server.url).with_agent(b"\xFF\xFE<b>");
    sign_in(&other, "ada").await.expect(200);
    let page = visitor.open("/settings/account").await;
    is_unharmed(&page);
    let shown = page.column("Browser");
    assert_eq!(shown.len(), agents.len() + 2);
    assert!(shown.iter().any(|browser| browser == "abc"), "{shown:?}");
    assert!(
        shown
            .iter()
            .any(|browser| browser == "<script>alert(1)</script>"),
        "{shown:?}"
    );
    assert!(
        shown.iter().all(|browser| browser.chars().count() <= 200),
        "{shown:?}"
    );
    is_unharmed(&visitor.open("/settings/audit").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_accounts_are_text() {
    // H7, K4
    let server = Server::start(Backend::Sqlite).await;
    let visitor = Visitor::new(&server.url);
    let form = visitor.open("/sign-up").await.form("Sign up");
    for (at, name) in some(&hostile(), 5).into_iter().enumerate() {
        let visitor = Visitor::new(&server.url);
        let form = form
            .clone()
            .fill("E-mail", &format!("u{at}@example.org"))
            .fill("Password", "a long enough password")
            .fill("Name of the account", &name);
        let page = visitor.send(&form).await.expect(200);
        is_unharmed(&page);
        page.says(&squeezed(&name));
        is_unharmed(&visitor.open("/settings/account").await);
    }
    for name in ["a\u{202E}b", "a\u{2028}b", "a\u{2066}b", "a\u{200F}b"] {
        let form = form
            .clone()
            .fill("E-mail", "odd@example.org")
            .fill("Password", "a long enough password")
            .fill("Name of the account", name);
        let page = visitor.submit(&form).await.expect(400);
        assert!(!page.error_at("Name of the account").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_says_stands_on_every_page() {
    // H7
    let notice = "Maintenance on <b>Sunday</b> & \"Monday\"";
    let options = ServerOptions::new(Backend::Sqlite)
        .with("notice", notice)
        .with("support-url", "https://support.example/?a=1&b=2");
    let server = Server::start_with(options).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let nobody = Visitor::new(&server.url);
    let mut silent = Vec::new();
    let mut heard = |page: &Page| {
        assert!(page.all("b").is_empty(), "{}", page.path);
        let links = page.all("a[href='https://support.example/?a=1&b=2']");
        if !page.text().contains(notice) || links.len() != 1 {
            silent.push(format!("{} {}: {}", page.status(), page.path, links.len()));
        }
    };
    for (who, path) in [
        (&nobody, "/sign-in"),
        (&nobody, "/sign-up"),
        (&nobody, "/nothing"),
        (&visitor, "/kubernetes"),
        (&visitor, "/settings/api-keys?create=1"),
        (&visitor, "/settings/account"),
        (&visitor, "/settings/audit"),
        (&visitor, "/nothing"),
        (&visitor, "/sign-out"),
        (&visitor, "/settings/audit?limit=0"),
        (&visitor, "/kubernetes/01a00000-0000-7000-8000-000000000000"),
    ] {
        heard(&who.get(path).await);
    }
    let once = visitor.get("/settings/api-keys?create=1").await;
    let refused = visitor
        .submit(&once.form("Create API key").fill("Name", " "))
        .await;
    heard(&refused);
    heard(
        &nobody
            .submit(&once.form("Create API key"))
            .await
            .expect(401),
    );
    heard(
        &visitor
            .submit(&once.form("Create API key").without("form"))
            .await
            .expect(403),
    );
    assert!(silent.is_empty(), "{silent:#?}");
}
