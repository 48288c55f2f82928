//! Signing in, up and out, and who may ask for it.

use reqwest::Method;
use serde_json::json;

use super::{
    reader::{Form, Page},
    visitor::{SESSION, Visitor, make_key, sign_in, somebody},
};
use crate::support::{Answer, Backend, Server, ServerOptions, client};

async fn sign_in_form(visitor: &Visitor, email: &str, password: &str) -> Form {
    let page = visitor.open("/sign-in").await;
    page.form("Sign in")
        .fill("E-mail", email)
        .fill("Password", password)
}

/// The attributes of the cookie of this name, in lower case.
fn cookie(page: &Page, name: &str) -> Vec<String> {
    let all = page.answer.headers.get_all("set-cookie").into_iter();
    let all = all.map(|cookie| cookie.to_str().unwrap());
    let mut found = all.filter(|cookie| cookie.starts_with(&format!("{name}=")));
    let cookie = found
        .next()
        .unwrap_or_else(|| panic!("no cookie {name}: {page:?}"));
    assert_eq!(found.next(), None);
    let attributes = cookie.split(';').skip(1);
    let mut attributes: Vec<_> = attributes.map(|part| part.trim().to_lowercase()).collect();
    attributes.sort();
    attributes
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signs_in_on_the_page_for_that() {
    // A6, A7, H1
    let server = Server::start(Backend::Sqlite).await;
    server.person("ada").await;
    let visitor = Visitor::new(&server.url);
    let page = visitor.open("/sign-in").await;
    assert_eq!(page.heading(), "Sign in");
    assert_eq!(
        page.labelled("E-mail").attr("autocomplete"),
        Some("username")
    );
    let password = page.labelled("Password");
    assert_eq!(password.attr("autocomplete"), Some("current-password"));
    assert_eq!(password.attr("type"), Some("password"));
    let form = sign_in_form(&visitor, "ada@example.org", "password of ada").await;
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), "/kubernetes");
    let wanted = ["httponly", "path=/", "samesite=lax"];
    assert_eq!(cookie(&done, SESSION), wanted);
    let page = visitor.follow(done).await.expect(200);
    page.says("ada@example.org");
    // Signing in always makes a new one, whatever the browser brought along.
    let first = visitor.cookie(SESSION).unwrap();
    let planted = Visitor::new(&server.url);
    planted.set_cookie(SESSION, &first);
    let again = planted.submit(&form).await;
    assert_eq!(again.leads_to(), "/kubernetes");
    assert_ne!(planted.cookie(SESSION).unwrap(), first);
    // The same session opens the API, as the browser's own programs find it.
    let request = visitor.request(Method::GET, "/v1/auth/session");
    visitor.read("/v1/auth/session", request).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_why_and_types_on() {
    // A8, H3
    let server = Server::start(Backend::Sqlite).await;
    server.person("ada").await;
    let visitor = Visitor::new(&server.url);
    let wrong = "not the password of ada";
    let mut pages = Vec::new();
    for email in ["ada@example.org", "nobody@example.org"] {
        let form = sign_in_form(&visitor, email, wrong).await;
        let page = visitor.submit(&form).await;
        page.refuses(401, "Wrong e-mail or password");
        assert_eq!(page.value("E-mail"), email);
        assert_eq!(page.value("Password"), "");
        assert!(!page.answer.text.contains(wrong));
        assert!(visitor.cookie(SESSION).is_none());
        pages.push((page.text(), page.answer.headers.len()));
    }
    assert_eq!(
        pages[0], pages[1],
        "an unknown e-mail looks like a wrong password"
    );
    // Throttled by e-mail and address, and told for how long.
    let form = sign_in_form(&visitor, "ada@example.org", wrong).await;
    let mut last = visitor.submit(&form).await;
    for _ in 0..12 {
        if last.status() == 429 {
            break;
        }
        last = visitor.submit(&form).await;
    }
    assert_eq!(last.status(), 429, "{}", last.text());
    assert!(last.answer.header("retry-after").is_some());
    assert_eq!(last.value("E-mail"), "ada@example.org");
    assert!(
        !last.texts("main [role=alert]").is_empty(),
        "{}",
        last.text()
    );
    // What is no form of the page's: doubled and unknown fields.
    for form in [
        form.clone().and("email", "x"),
        form.clone().and("admin", "true"),
    ] {
        let page = visitor.submit(&form).await.expect(400);
        assert!(!page.answer.text.contains(wrong));
        assert!(visitor.cookie(SESSION).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_for_once_opens_the_page_that_replaces_it() {
    // A10
    let server = Server::start(Backend::Sqlite).await;
    let (person, _) = somebody(&server, "ada").await;
    let account = person.account_id().await;
    let email = "new@example.org";
    let made = [
        "user",
        "create",
        email,
        "--account-id",
        &account,
        "--role",
        "write",
    ];
    let once = server.admin(&made).trim().to_owned();
    let visitor = Visitor::new(&server.url);
    let form = sign_in_form(&visitor, email, &once).await;
    let done = visitor
        .submit(&form.forge("next", "/settings/account"))
        .await;
    assert_eq!(done.leads_to(), "/first-password");
    for path in [
        "/",
        "/kubernetes",
        "/settings/api-keys?create=1",
        "/settings/account",
        "/settings/audit",
    ] {
        let page = visitor.get(path).await;
        let page = if path == "/" {
            visitor.get(page.leads_to()).await
        } else {
            page
        };
        assert_eq!(page.leads_to(), "/first-password", "{path}");
    }
    let request = visitor.request(Method::GET, "/kubernetes");
    let part = request.header("hx-request", "true");
    let part = visitor.read("/kubernetes", part).await;
    assert_eq!(part.answer.header("hx-redirect"), Some("/first-password"));
    for path in [
        "/kubernetes",
        "/settings/api-keys",
        "/settings/account/end-others",
    ] {
        let request = visitor
            .request(Method::POST, path)
            .header("origin", &server.url);
        let page = visitor.read(path, request.form(&[("name", "x")])).await;
        assert!(
            [303, 403].contains(&page.status()),
            "{path}: {}",
            page.status()
        );
    }
    let page = visitor.open("/first-password").await;
    let own = "a password of my own";
    let fill = |page: &Page, old: &str, new: &str| {
        let form = page.form("Change password");
        form.fill("One-time password", old)
            .fill("New password", new)
    };
    let wrong = visitor.submit(&fill(&page, "not it, not it", own)).await;
    assert!(
        [400, 401, 403].contains(&wrong.status()),
        "{}",
        wrong.status()
    );
    wrong.says("This is not your current password");
    let short = visitor
        .submit(&fill(&wrong, &once, "short"))
        .await
        .expect(400);
    assert!(short.error_at("New password").contains("12 to 128"));
    for secret in [&*once, own] {
        assert!(!wrong.answer.text.contains(secret) && !short.answer.text.contains(secret));
    }
    let page = visitor.send(&fill(&short, &once, own)).await.expect(200);
    assert_eq!(page.path, "/kubernetes");
    page.says("The password was changed");
    // Who has one of their own is not asked for another.
    assert_eq!(
        visitor.get("/first-password").await.leads_to(),
        "/settings/account"
    );
    let again = Visitor::new(&server.url);
    let old = again
        .submit(&sign_in_form(&again, email, &once).await)
        .await;
    old.refuses(401, "Wrong e-mail or password");
    let new = again.submit(&sign_in_form(&again, email, own).await).await;
    assert_eq!(new.leads_to(), "/kubernetes");
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_signs_up_where_the_operator_lets_them() {
    // A10, H3
    let server = Server::start(Backend::Sqlite).await;
    server.person("ada").await;
    let visitor = Visitor::new(&server.url);
    let page = visitor.open("/sign-in").await;
    assert_eq!(page.link("Sign up"), "/sign-up");
    let page = visitor.open("/sign-up").await;
    assert_eq!(
        page.labelled("Password").attr("autocomplete"),
        Some("new-password")
    );
    let fill = |page: &Page, email: &str, password: &str, name: &str| {
        page.form("Sign up")
            .fill("E-mail", email)
            .fill("Password", password)
            .fill("Name of the account", name)
    };
    let page = visitor
        .submit(&fill(&page, "no e-mail", "short", " "))
        .await
        .expect(400);
    for label in ["E-mail", "Password", "Name of the account"] {
        assert!(!page.error_at(label).is_empty(), "{label}");
    }
    assert_eq!(page.value("E-mail"), "no e-mail");
    let password = "a long enough password";
    let form = fill(&page, "ada@example.org", password, "Bob & Co <b>");
    let taken = visitor.submit(&form).await.expect(409);
    assert_eq!(taken.value("E-mail"), "ada@example.org");
    assert_eq!(taken.value("Name of the account"), "Bob & Co <b>");
    assert!(!taken.answer.text.contains(password));
    for form in [
        form.clone().and("role", "admin"),
        form.clone().and("email", "x@y.org"),
    ] {
        visitor.submit(&form).await.expect(400);
    }
    let form = fill(&taken, "bob@example.org", password, "Bob & Co <b>");
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), "/kubernetes");
    visitor.follow(done).await.expect(200).says("Bob & Co <b>");
    assert_eq!(visitor.get("/sign-up").await.leads_to(), "/kubernetes");
    // Sent twice it makes one account.
    let twice = Visitor::new(&server.url).submit(&form).await;
    assert!([303, 409].contains(&twice.status()), "{}", twice.status());
    let accounts = server.admin(&["account", "list"]);
    assert_eq!(accounts.matches("Bob & Co").count(), 1, "{accounts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_up_where_that_is_closed() {
    // A10
    let options = ServerOptions::new(Backend::Sqlite).with("sign-up", "closed");
    let server = Server::start_with(options).await;
    let visitor = Visitor::new(&server.url);
    assert!(!visitor.open("/sign-in").await.has_link("Sign up"));
    visitor.get("/sign-up").await.expect(404);
    let fields = [
        ("email", "x@example.org"),
        ("password", "a long enough password"),
        ("account_name", "x"),
    ];
    let request = visitor.request(Method::POST, "/sign-up").form(&fields);
    visitor.read("/sign-up", request).await.expect(404);
    assert!(visitor.cookie(SESSION).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_at_once() {
    // A6, H5
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/kubernetes").await;
    let token = visitor.cookie(SESSION).unwrap();
    let form = page.form("Sign out");
    for forged in [
        form.clone().without("form"),
        form.clone().forge("form", "x"),
    ] {
        visitor.submit(&forged).await.expect(403);
        visitor.open("/kubernetes").await;
    }
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), "/sign-in");
    let attributes = cookie(&done, SESSION);
    for wanted in ["httponly", "max-age=0", "path=/", "samesite=lax"] {
        assert!(attributes.iter().any(|a| a == wanted), "{attributes:?}");
    }
    assert!(visitor.cookie(SESSION).is_none());
    visitor.set_cookie(SESSION, &token);
    assert!(
        visitor
            .get("/kubernetes")
            .await
            .leads_to()
            .starts_with("/sign-in")
    );
    let request = visitor.request(Method::GET, "/v1/auth/session");
    visitor
        .read("", request)
        .await
        .answer
        .problem(401, "invalid_access_token");
    // Again, from a page that was left open.
    let again = visitor.submit(&form).await;
    assert!([303, 401].contains(&again.status()), "{}", again.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_bound_to_the_host_over_tls() {
    // A7, H4
    let options = ServerOptions::new(Backend::Sqlite).encrypted();
    let server = Server::start_with(options).await;
    server.person("ada").await;
    let visitor = Visitor::new(&server.url);
    let form = sign_in_form(&visitor, "ada@example.org", "password of ada").await;
    let done = visitor.submit(&form).await;
    let name = format!("__Host-{SESSION}");
    let wanted = ["httponly", "path=/", "samesite=lax", "secure"];
    assert_eq!(cookie(&done, &name), wanted);
    let page = visitor.follow(done).await.expect(200);
    let hsts = page.answer.header("strict-transport-security").unwrap();
    assert!(hsts.starts_with("max-age="), "{hsts}");
    let done = visitor.submit(&page.form("Sign out")).await;
    assert!(cookie(&done, &name).contains(&"secure".to_owned()));
    assert!(visitor.cookie(&name).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_elsewhere_sends_no_form() {
    // A9, H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let nobody = Visitor::new(&server.url);
    let forms = [
        (
            &nobody,
            sign_in_form(&nobody, "ada@example.org", "password of ada").await,
        ),
        (
            &nobody,
            nobody
                .open("/sign-up")
                .await
                .form("Sign up")
                .fill("E-mail", "eve@example.org")
                .fill("Password", "a long enough password")
                .fill("Name of the account", "eve"),
        ),
        (
            &visitor,
            visitor
                .open("/settings/api-keys?create=1")
                .await
                .form("Create API key")
                .fill("Name", "stolen")
                .choose("All"),
        ),
        (&visitor, visitor.open("/kubernetes").await.form("Sign out")),
    ];
    let port = server.url.rsplit(':').next().unwrap();
    let elsewhere = [
        vec![("origin", "null".to_owned())],
        vec![("origin", "https://evil.example".to_owned())],
        vec![("origin", "http://127.0.0.1:1".to_owned())],
        vec![("origin", format!("http://localhost:{port}"))],
        vec![("origin", format!("https://127.0.0.1:{port}"))],
        vec![("sec-fetch-site", "cross-site".to_owned())],
        vec![("sec-fetch-site", "same-site".to_owned())],
        vec![
            ("origin", server.url.clone()),
            ("sec-fetch-site", "cross-site".to_owned()),
        ],
    ];
    for (visitor, form) in &forms {
        for headers in &elsewhere {
            let mut request = visitor
                .request(Method::POST, &form.action)
                .form(&form.fields());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let page = visitor.read(&form.action, request).await;
            assert_eq!(page.status(), 403, "{} {headers:?}", form.action);
            assert!(page.answer.header("set-cookie").is_none());
            page.heading();
        }
    }
    assert!(nobody.cookie(SESSION).is_none());
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"], json!([]));
    visitor.open("/kubernetes").await;
    // No browser, but somebody with the form's identifier.
    let (_, form) = &forms[2];
    let request = visitor
        .request(Method::POST, &form.action)
        .form(&form.fields());
    visitor
        .read(&form.action, request)
        .await
        .expect(200)
        .secret();
    // No GET does what a form does.
    for (visitor, form) in &forms {
        let request = visitor
            .request(Method::GET, &form.action)
            .query(&form.fields());
        let page = visitor.read(&form.action, request).await;
        assert!(
            page.status() < 300 || [303, 405].contains(&page.status()),
            "{}",
            form.action
        );
    }
    visitor.open("/kubernetes").await;
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_is_left_at_once() {
    // A13
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    make_key(&visitor, "laptop").await;
    server.admin(&["account", "suspend", &person.account_id().await]);
    let page = visitor.get("/settings/api-keys").await;
    assert!(page.leads_to().starts_with("/sign-in?next="));
    let page = sign_in(&Visitor::new(&server.url), "ada").await.expect(403);
    let told = person_sign_in(&server).await;
    page.says(&told);
}

/// What the API says to whoever signs in there.
async fn person_sign_in(server: &Server) -> String {
    let body = json!({"email": "ada@example.org", "password": "password of ada"});
    let request = client().post(format!("{}/v1/auth/sign-in", server.url));
    let answer = request.json(&body).send().await.unwrap();
    Answer::read(answer).await.problem(403, "account_suspended")
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_chosen_and_lead_back() {
    // H2, H6
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    for (who, path) in [
        (&visitor, "/settings/api-keys"),
        (&Visitor::new(&server.url), "/sign-in"),
    ] {
        for theme in ["light", "dark", "system"] {
            let page = who.open(path).await;
            let done = who.submit(&page.form(theme)).await;
            if path != "/sign-in" {
                assert_eq!(done.leads_to(), path);
            }
            let page = who.open(path).await;
            assert_eq!(page.all("html")[0].attr("data-theme"), Some(theme));
        }
    }
    let form = visitor.open("/kubernetes").await.form("dark");
    for to in ["//evil.example", "/\\evil.example", "https://evil.example"] {
        let done = visitor.submit(&form.clone().forge("to", to)).await;
        assert_eq!(done.leads_to(), "/", "{to}");
    }
    visitor
        .submit(&form.clone().forge("theme", "\"><b>"))
        .await
        .expect(400);
}
