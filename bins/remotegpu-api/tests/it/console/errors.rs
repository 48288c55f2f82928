//! What went wrong, for people and for programs.

use reqwest::{Method, header::HeaderValue};
use uuid::Uuid;

use super::{
    reader::Page,
    visitor::{HTML, Visitor, somebody},
};
use crate::support::{Answer, Backend, Server, ServerOptions, client};

async fn ask(method: Method, url: &str, accept: &str, host: Option<&str>) -> Page {
    let mut request = client().request(method, url).header("accept", accept);
    if let Some(host) = host {
        request = request.header("host", HeaderValue::from_str(host).unwrap());
    }
    Page::new(url, Answer::read(request.send().await.unwrap()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_a_page_for_browsers_and_a_document_for_others() {
    // C5, H2
    let server = Server::start(Backend::Sqlite).await;
    let url = |path: &str| format!("{}{path}", server.url);
    let cases = [
        (Method::GET, "/nothing", None, 404, "not_found"),
        (Method::GET, "/kubernetes/a/b/c", None, 404, "not_found"),
        (Method::POST, "/nothing", None, 404, "not_found"),
        (
            Method::GET,
            "/nothing",
            Some("evil.example"),
            421,
            "misdirected",
        ),
        (
            Method::GET,
            "/kubernetes",
            Some("evil.example"),
            421,
            "misdirected",
        ),
        (
            Method::DELETE,
            "/kubernetes",
            None,
            405,
            "method_not_allowed",
        ),
        (Method::GET, "/sign-out", None, 405, "method_not_allowed"),
    ];
    for (method, path, host, status, code) in cases {
        let page = ask(method.clone(), &url(path), HTML, host)
            .await
            .expect(status);
        assert_eq!(
            page.answer.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        page.heading();
        // The request's id stands small beneath it.
        page.says(page.answer.header("x-request-id").unwrap());
        assert!(
            !page.text().contains(code),
            "a code says nothing to a person: {path}"
        );
        if status == 405 {
            assert!(page.answer.header("allow").is_some());
        }
        if path != "/nothing" && !path.ends_with("/c") {
            continue;
        }
        for accept in ["*/*", "application/json", "application/problem+json"] {
            let page = ask(method.clone(), &url(path), accept, host).await;
            page.answer.problem(status, code);
        }
    }
    // C3: the id that the client sent, if it is one.
    for (sent, echoed) in [
        ("my-id.1", true),
        ("x\"><b>", false),
        (&"x".repeat(129), false),
    ] {
        let request = client().get(url("/nothing")).header("accept", HTML);
        let answer = request.header("x-request-id", sent).send().await.unwrap();
        let page = Page::new("/nothing", Answer::read(answer).await).expect(404);
        assert_eq!(page.text().contains(sent), echoed, "{sent}");
        assert!(page.all("b").is_empty());
    }
    // Under `/v1` everybody gets the document.
    let page = ask(Method::GET, &url("/v1/nothing"), HTML, None).await;
    page.answer.problem(404, "not_found");
    let page = ask(Method::GET, &url("/v1/account/api-keys"), HTML, None).await;
    page.answer.problem(401, "missing_access_token");
    // A HEAD has the same head and no body.
    let page = ask(Method::HEAD, &url("/sign-in"), HTML, None)
        .await
        .expect(200);
    assert_eq!(page.answer.text, "");
    for path in ["/livez", "/docs", "/openapi.json"] {
        let page = ask(Method::GET, &url(path), HTML, None).await;
        assert!(page.status() < 400, "{path}: {}", page.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_keeps_the_rail_and_leads_on() {
    // H2
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let id = Uuid::new_v4();
    for path in [
        "/nothing".to_owned(),
        "/settings".to_owned(),
        format!("/kubernetes/{id}"),
        format!("/settings/api-keys/{id}"),
        "/kubernetes/%3Cb%3E%22".to_owned(),
    ] {
        let page = visitor.get(&path).await.expect(404);
        assert!(
            page.has_link("Kubernetes") && page.has_link("API Keys"),
            "{path}"
        );
        assert_eq!(page.all("b").len(), 0, "{path}");
        page.says(page.answer.header("x-request-id").unwrap());
    }
    // Who is not signed in sees no rail, and hears the same.
    let page = Visitor::new(&server.url).get("/nothing").await.expect(404);
    assert!(!page.has_link("API Keys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_console_there_is_the_api_alone() {
    // H2, R3
    let options = ServerOptions::new(Backend::Sqlite).with("console", "false");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    for path in [
        "/",
        "/sign-in",
        "/kubernetes",
        "/settings/api-keys",
        "/assets/x/console.css",
    ] {
        let page = visitor.get(path).await;
        page.answer.problem(404, "not_found");
    }
    person.get("/v1/auth/session").await.expect(200);
    for path in ["/livez", "/readyz", "/openapi.json"] {
        let page = ask(Method::GET, &format!("{}{path}", server.url), HTML, None).await;
        assert_eq!(page.status(), 200, "{path}");
    }
    // No forms, no cookie.
    let request = visitor
        .request(Method::POST, "/sign-in")
        .form(&[("email", "x")]);
    visitor
        .read("/sign-in", request)
        .await
        .answer
        .problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_makes_a_page_fail() {
    // C5: nothing a client sends gives 500.
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let namespace = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let odd = ["%00%FF", "%22%3E%3Cb%3E", "a%0D%0Ab", "%E2%80%AE"];
    for page in [
        "/sign-in",
        "/kubernetes",
        &namespace,
        "/settings/api-keys",
        "/settings/audit",
    ] {
        for name in [
            "next",
            "create",
            "rename",
            "delete",
            "name",
            "q",
            "cursor",
            "limit",
            "since",
            "actor",
            "scope",
            "ends",
            "namespace",
            "plugin",
        ] {
            for value in odd {
                let path = format!("{page}?create=1&{name}={value}");
                let answer = visitor.get(&path).await;
                assert!(answer.status() < 500, "{path}: {}", answer.status());
                assert!(answer.all("b").is_empty(), "{path}");
            }
        }
    }
    for body in [
        "%",
        "=&=&=",
        "form",
        "form=%FF%00",
        "\u{0}",
        "form[]=x&form[0]=y",
    ] {
        for path in [
            "/sign-in",
            "/kubernetes",
            "/settings/api-keys",
            "/settings/theme",
            "/sign-out",
        ] {
            let request = visitor
                .request(Method::POST, path)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", &server.url)
                .body(body);
            let page = visitor.read(path, request).await;
            assert!(
                (400..500).contains(&page.status()),
                "{path} {body}: {}",
                page.status()
            );
        }
    }
    visitor.open("/kubernetes").await;
}
