//! Who gets in, and where they are led.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    reader::Page,
    visitor::{SESSION, Visitor, sign_in, somebody},
};
use crate::support::{Backend, Person, Server};

/// What is shown to who is signed in; `{}` is the id of a namespace, a key or a session.
const PAGES: [&str; 14] = [
    "/kubernetes",
    "/kubernetes/{namespace}",
    "/kubernetes/{namespace}/kubeconfig",
    "/settings/api-keys",
    "/settings/api-keys/{key}",
    "/settings/access-tokens",
    "/settings/access-tokens/{token}",
    "/settings/members",
    "/settings/members/{user}",
    "/settings/service-users/{machine}",
    "/settings/audit",
    "/settings/audit.csv",
    "/settings/account",
    "/first-password",
];

/// Where forms are sent to.
const FORMS: [&str; 32] = [
    "/kubernetes",
    "/kubernetes/{namespace}/rename",
    "/kubernetes/{namespace}/delete",
    "/settings/api-keys",
    "/settings/api-keys/{key}/update",
    "/settings/api-keys/{key}/rotate",
    "/settings/api-keys/{key}/revoke",
    "/settings/members",
    "/settings/members/{user}/role",
    "/settings/members/{user}/remove",
    "/settings/members/{user}/leave",
    "/settings/invitations/{session}/delete",
    "/settings/service-users",
    "/settings/service-users/{machine}/update",
    "/settings/service-users/{machine}/delete",
    "/settings/service-users/{machine}/tokens",
    "/settings/service-users/{machine}/tokens/{machine-token}/delete",
    "/settings/saved-service-user-token",
    "/settings/switch",
    "/settings/saved-key",
    "/settings/download-key",
    "/settings/access-tokens",
    "/settings/access-tokens/{token}/delete",
    "/settings/saved-token",
    "/settings/download-token-file",
    "/settings/saved-kubeconfig",
    "/settings/download-kubeconfig",
    "/kubernetes/{namespace}/kubeconfig-token",
    "/settings/account/password",
    "/settings/account/end-others",
    "/settings/sessions/{session}/end",
    "/first-password",
];

/// What somebody has, as the walks fill it in.
struct Things {
    namespace: String,
    key: String,
    token: String,
    user: String,
    machine: String,
    machine_token: String,
}

impl Things {
    async fn of(person: &Person) -> Self {
        let namespace = person.namespace("team-ml").await;
        let body = json!({
            "name": "laptop", "clusters": [namespace["cluster"]], "expires_in_seconds": 3600,
        });
        let token = person
            .post("/v1/account/access-tokens", body)
            .await
            .expect(201);
        let session = person.get("/v1/auth/session").await.expect(200);
        let machine = person.service_user("write").await;
        Self {
            machine_token: machine.token_id().to_owned(),
            machine: machine.id,
            token: token["id"].as_str().unwrap().to_owned(),
            namespace: namespace["id"].as_str().unwrap().to_owned(),
            key: person.key(json!({"all": true})).await.id().to_owned(),
            user: session["user"]["id"].as_str().unwrap().to_owned(),
        }
    }

    fn fill(&self, path: &str) -> String {
        path.replace("{namespace}", &self.namespace)
            .replace("{key}", &self.key)
            .replace("{token}", &self.token)
            .replace("{user}", &self.user)
            .replace("{machine}", &self.machine)
            .replace("{machine-token}", &self.machine_token)
            .replace("{session}", &Uuid::new_v4().to_string())
    }
}

fn next(path: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/sign-in?{}", query.append_pair("next", path).finish())
}

/// Whether requests that are made in this way open no page and send no form.
async fn stays_outside(
    visitor: &Visitor,
    things: &Things,
    with: impl Fn(RequestBuilder) -> RequestBuilder,
) {
    for path in PAGES {
        let path = format!("{}?x=1&y=%2F", things.fill(path));
        let asked = |fragment: bool| {
            let request = with(visitor.request(Method::GET, &path));
            if fragment {
                request.header("hx-request", "true")
            } else {
                request
            }
        };
        let page = visitor.read(&path, asked(false)).await;
        assert_eq!(page.leads_to(), next(&path));
        assert_eq!(page.answer.header("cache-control"), Some("no-store"));
        let part = visitor.read(&path, asked(true)).await.expect(401);
        assert_eq!(part.answer.header("hx-redirect"), Some(&*next(&path)));
        part.says_not("team-ml");
    }
    for path in FORMS {
        let path = things.fill(path);
        let request = with(visitor.request(Method::POST, &path))
            .header("origin", &visitor.url)
            .header("sec-fetch-site", "same-origin")
            .form(&[
                ("name", "typed <b>"),
                ("key", "rgpu_secret"),
                ("new", "a new password"),
            ]);
        let page = visitor.read(&path, request).await;
        assert_eq!(page.status(), 401, "{path}: {}", page.text());
        assert_eq!(page.heading(), "Sign in", "{path}");
        page.form("Sign in");
        for secret in ["rgpu_secret", "a new password", "a+new+password"] {
            assert!(!page.answer.text.contains(secret), "{path}: {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_opens_without_a_session() {
    // H3, A1
    let server = Server::start(Backend::Sqlite).await;
    let person = server.person("ada").await;
    let things = Things::of(&person).await;
    let key = person.key(json!({"all": true})).await.key;
    let visitor = Visitor::new(&server.url);
    stays_outside(&visitor, &things, |request| request).await;
    stays_outside(&visitor, &things, |request| {
        request.header("x-api-key", &key)
    })
    .await;
    stays_outside(&visitor, &things, |request| request.bearer_auth(&key)).await;
    for dead in ["", "rgse_x", &format!("rgse_{}", "a".repeat(43))] {
        let cookie = format!("{SESSION}={dead}");
        stays_outside(&visitor, &things, |request| {
            request.header("cookie", &cookie)
        })
        .await;
    }
    let unchanged = person.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(unchanged["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_pages_by_its_cookie_alone() {
    // A1, H3: what a program holds is no browser's.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.person("ada").await;
    let things = Things::of(&person).await;
    let token = &person.session_token;
    let visitor = Visitor::new(&server.url);
    stays_outside(&visitor, &things, |request| request.bearer_auth(token)).await;
    // A3: two at once are none.
    let cookie = format!("{SESSION}={token}");
    let twice = format!("{cookie}; {cookie}");
    stays_outside(&visitor, &things, |request| {
        request.header("cookie", &twice)
    })
    .await;
    stays_outside(&visitor, &things, |request| {
        request.header("cookie", &cookie).bearer_auth(token)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_led_in_and_back_within_this_site() {
    // H2
    let server = Server::start(Backend::Sqlite).await;
    let (_, ada) = somebody(&server, "ada").await;
    assert_eq!(ada.get("/").await.leads_to(), "/kubernetes");
    let nobody = Visitor::new(&server.url);
    assert_eq!(nobody.get("/").await.leads_to(), "/sign-in");
    for (wanted, led) in [
        ("/settings/api-keys?q=a%26b", "/settings/api-keys?q=a%26b"),
        ("/settings/account", "/settings/account"),
        ("", "/kubernetes"),
        ("kubernetes", "/kubernetes"),
        ("//evil.example", "/kubernetes"),
        ("///evil.example", "/kubernetes"),
        ("/\\evil.example", "/kubernetes"),
        ("\\\\evil.example", "/kubernetes"),
        ("/\t/evil.example", "/kubernetes"),
        ("/\r\nlocation: https://evil.example", "/kubernetes"),
        ("https://evil.example/", "/kubernetes"),
        ("https:/evil.example", "/kubernetes"),
        ("javascript:alert(1)", "/kubernetes"),
        ("/../\u{2215}/evil.example", "/kubernetes"),
        (&format!("/{}", "a".repeat(10_000)), "/kubernetes"),
    ] {
        let page = nobody.open(&next(wanted)).await;
        let form = page.form("Sign in");
        assert_eq!(form.action, "/sign-in");
        let form = form
            .fill("E-mail", "ada@example.org")
            .fill("Password", "password of ada");
        let visitor = Visitor::new(&server.url);
        let led_to = visitor.submit(&form).await;
        assert_eq!(led_to.leads_to(), led, "{wanted:?}");
        // Whoever is signed in already is led at once.
        assert_eq!(ada.get(&next(wanted)).await.leads_to(), led, "{wanted:?}");
        // The field is not to be trusted more than the address.
        let forged = form.forge("next", wanted);
        let visitor = Visitor::new(&server.url);
        assert_eq!(visitor.submit(&forged).await.leads_to(), led, "{wanted:?}");
    }
    // From a page, through signing in, to that page.
    let visitor = Visitor::new(&server.url);
    let page = visitor.get("/settings/api-keys?q=lap").await;
    let page = visitor.follow(page).await;
    let form = page
        .form("Sign in")
        .fill("E-mail", "ada@example.org")
        .fill("Password", "password of ada");
    let page = visitor.send(&form).await.expect(200);
    assert_eq!(page.path, "/settings/api-keys?q=lap");
}

/// What is typed into a form, where it stands, and what of it is shown again.
struct Typed {
    page: &'static str,
    button: &'static str,
    fields: &'static [(&'static str, &'static str)],
    secret: bool,
}

const TYPED: [Typed; 6] = [
    Typed {
        page: "/kubernetes?create=1",
        button: "Create namespace",
        fields: &[("Name", "typed-\"><b>&x")],
        secret: false,
    },
    Typed {
        page: "/kubernetes/{namespace}?rename=1",
        button: "Rename namespace",
        fields: &[("Name", "other-name")],
        secret: false,
    },
    Typed {
        page: "/kubernetes/{namespace}?delete=1",
        button: "Delete namespace",
        fields: &[("Type team-ml to confirm", "team-m")],
        secret: false,
    },
    Typed {
        page: "/settings/api-keys?create=1",
        button: "Create API key",
        fields: &[("Name", "typed \"><b>&x=1 €")],
        secret: false,
    },
    Typed {
        page: "/settings/api-keys/{key}?change=1",
        button: "Change key",
        fields: &[("Name", "another name")],
        secret: false,
    },
    Typed {
        page: "/settings/account",
        button: "Change password",
        fields: &[
            ("Current password", "password of ada"),
            ("New password", "another password of ada"),
        ],
        secret: true,
    },
];

async fn state(person: &Person) -> Value {
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    let tokens = person.get("/v1/account/access-tokens").await.expect(200);
    let namespaces = person.get("/v1/kubernetes/namespaces").await.expect(200);
    let machines = person.get("/v1/account/service-users").await;
    json!([keys, tokens, namespaces, machines.expect(200)])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_survives_the_end_of_a_session() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, _) = somebody(&server, "ada").await;
    server.person("bob").await;
    let things = Things::of(&person).await;
    let before = state(&person).await;
    for typed in TYPED {
        let visitor = Visitor::new(&server.url);
        sign_in(&visitor, "ada").await.expect(200);
        let page = visitor.open(&things.fill(typed.page)).await;
        let mut form = page.form(typed.button);
        for (label, value) in typed.fields {
            form = form.fill(label, value);
        }
        let cookie = visitor.cookie(SESSION).unwrap();
        visitor.press(&page, "Sign out").await;
        visitor.set_cookie(SESSION, &cookie);
        let stopped = visitor.submit(&form).await.expect(401);
        assert_eq!(stopped.heading(), "Sign in", "{}", typed.page);
        let text = &stopped.answer.text;
        if typed.secret {
            assert!(!text.contains("password of ada") && !text.contains("password+of+ada"));
        } else {
            stopped.says("what you typed comes back");
        }
        // A password that is wrong costs nothing of it.
        let sign_in = stopped.form("Sign in").fill("E-mail", "ada@example.org");
        let wrong = visitor
            .submit(&sign_in.clone().fill("Password", "not it, not it"))
            .await;
        wrong.refuses(401, "Wrong e-mail or password");
        let sign_in = wrong.form("Sign in").fill("Password", "password of ada");
        let page = visitor.send(&sign_in).await.expect(200);
        for (label, value) in typed.fields {
            let shown = if typed.secret { "" } else { value };
            assert_eq!(page.value(label), shown, "{}: {label}", page.path);
        }
        page.form(typed.button);
        // Another person sees nothing of it.
        let other = Visitor::new(&server.url);
        let sign_in = sign_in
            .fill("E-mail", "bob@example.org")
            .fill("Password", "password of bob");
        let page = other.send(&sign_in).await;
        for (_, value) in typed.fields {
            assert!(!page.path.contains(*value) && !page.text().contains(*value));
            assert!(!page.path.contains("&name="), "{}", page.path);
        }
        // Nothing of it is done before somebody sends it again.
        assert_eq!(state(&person).await, before, "{}", typed.page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_survive_the_end_of_a_session() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let things = Things::of(&person).await;
    let pages = [
        ("/settings/api-keys?create=1", "Create API key"),
        (
            &things.fill("/settings/api-keys/{key}?change=1"),
            "Change key",
        ),
    ];
    let mut sent = Vec::new();
    for (path, button) in pages {
        let form = visitor.open(path).await.form(button);
        let form = form
            .fill("Name", "chosen")
            .choose("Kubernetes exec")
            .choose("Only these:")
            .choose("team-ml")
            .select("Ends", "A date")
            .fill("The date", "2199-12-31");
        sent.push((form, button));
    }
    let rotate = visitor
        .open(&things.fill("/settings/api-keys/{key}?rotate=1"))
        .await;
    let label = "The old secret works on for";
    let rotate = rotate.form("Rotate key").select(label, "8 hours");
    visitor.set_cookie(SESSION, "rgse_dead");
    let again = async |form| {
        let stopped = visitor.submit(form).await.expect(401);
        let form = stopped
            .form("Sign in")
            .fill("E-mail", "ada@example.org")
            .fill("Password", "password of ada");
        let page = visitor.send(&form).await.expect(200);
        visitor.set_cookie(SESSION, "rgse_dead");
        page
    };
    for (form, button) in &sent {
        let page = again(form).await;
        assert_eq!(page.value("Name"), "chosen", "{button}");
        for ticked in ["Kubernetes exec", "Only these:", "team-ml"] {
            assert!(page.is_ticked(ticked), "{button}: {ticked}");
        }
        assert_eq!(page.value("Ends"), "A date", "{button}");
        assert_eq!(page.value("The date"), "2199-12-31", "{button}");
    }
    assert_eq!(again(&rotate).await.value(label), "8 hours");
}

/// A page without what differs from request to request.
fn told(page: &Page, id: &str) -> (u16, String, Vec<String>) {
    let request = page.answer.header("x-request-id").unwrap();
    let text = page
        .answer
        .text
        .replace(id, "ID")
        .replace(request, "REQUEST");
    let mut headers: Vec<String> = page
        .answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "x-remotegpu-time", "date"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .map(|line| line.replace(id, "ID"))
        .collect();
    headers.retain(|line| !line.starts_with("content-length"));
    headers.sort();
    (page.status(), text, headers)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_account_s_looks_like_what_does_not_exist() {
    // C6, H3
    let server = Server::start(Backend::Sqlite).await;
    let (_, ada) = somebody(&server, "ada").await;
    let (bob, _) = somebody(&server, "bob").await;
    let his = Things::of(&bob).await;
    let before = state(&bob).await;
    let own = ada.open("/settings/api-keys?create=1").await;
    let own = own.form("Create API key");
    let id = own.hidden("form").to_owned();
    let with_id = PAGES
        .iter()
        .flat_map(|path| {
            [
                "",
                "?rename=1",
                "?delete=1",
                "?change=1",
                "?rotate=1",
                "?remove=1",
            ]
            .map(|q| format!("{path}{q}"))
        })
        .filter(|path| path.contains('{'))
        .map(|path| (Method::GET, path));
    let forms = FORMS.iter().filter(|path| path.contains('{'));
    let forms = forms.map(|path| (Method::POST, (*path).to_owned()));
    for (method, path) in with_id.chain(forms) {
        let foreign = if path.contains("{key}") {
            &his.key
        } else if path.contains("{token}") {
            &his.token
        } else if path.contains("{user}") {
            &his.user
        } else if path.contains("{machine-token}") {
            &his.machine_token
        } else if path.contains("{machine}") {
            &his.machine
        } else {
            &his.namespace
        };
        let random = Uuid::new_v4().to_string();
        let mut answers = Vec::new();
        for wanted in [foreign, &random, "no-identifier", "%00"] {
            let things = Things {
                namespace: wanted.to_owned(),
                key: wanted.to_owned(),
                token: wanted.to_owned(),
                user: wanted.to_owned(),
                machine: wanted.to_owned(),
                machine_token: wanted.to_owned(),
            };
            let filled = things.fill(&path).replace("{session}", wanted);
            let mut request = ada.request(method.clone(), &filled);
            if method == Method::POST {
                request = request
                    .header("origin", &server.url)
                    .form(&[("form", id.as_str()), ("name", "team-ml")]);
            }
            let page = ada.read(&filled, request).await;
            answers.push(told(&page, wanted));
        }
        let expected = if method == Method::GET { 404 } else { 403 };
        assert_eq!(answers[0].0, expected, "{path}");
        assert!(
            answers.iter().all(|a| *a == answers[0]),
            "{path}: {answers:#?}"
        );
    }
    assert_eq!(state(&bob).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_sees_no_buttons_and_changes_nothing() {
    // A11, H2
    let server = Server::start(Backend::Sqlite).await;
    let (person, admin) = somebody(&server, "ada").await;
    let things = Things::of(&person).await;
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    let sentence = reader
        .post("/v1/kubernetes/namespaces", json!({"name": "x"}))
        .await
        .problem(403, "role_too_small");
    let reader = Visitor::of(&reader);
    let acts = [
        ("/kubernetes", vec!["Create namespace"]),
        (
            "/kubernetes/{namespace}",
            vec!["Rename", "Delete namespace"],
        ),
        ("/settings/api-keys", vec!["Create API key"]),
        (
            "/settings/api-keys/{key}",
            vec!["Change", "Rotate key", "Revoke key"],
        ),
        (
            "/settings/members",
            vec!["Invite somebody", "Create service user"],
        ),
        ("/settings/members/{user}", vec!["Change role"]),
    ];
    for (path, buttons) in acts {
        let path = things.fill(path);
        let (sees, does) = (reader.open(&path).await, admin.open(&path).await);
        sees.says(match &path {
            path if path.contains("api-keys") => "test",
            path if path.contains("members") => "ada@example.org",
            _ => "team-ml",
        });
        for button in buttons {
            assert!(does.has_button(button), "{path}: {button}");
            assert!(!sees.has_button(button), "{path}: {button}");
        }
        assert!(!sees.has_link("Make one like this"), "{path}");
    }
    for query in [
        "/kubernetes?create=1",
        "/kubernetes/{namespace}?rename=1",
        "/kubernetes/{namespace}?delete=1",
        "/settings/api-keys?create=1",
        "/settings/api-keys/{key}?change=1",
        "/settings/api-keys/{key}?rotate=1",
        "/settings/api-keys/{key}?revoke=1",
        "/settings/members?invite=1",
        "/settings/members?service-user=1",
        "/settings/members/{user}?change=1",
        "/settings/members/{user}?remove=1",
        "/settings/members/{user}?leave=1",
    ] {
        let page = reader.open(&things.fill(query)).await;
        assert!(page.all("dialog").is_empty(), "{query}");
    }
    let before = state(&person).await;
    for (path, button) in [
        ("/kubernetes?create=1", "Create namespace"),
        ("/kubernetes/{namespace}?rename=1", "Rename namespace"),
        ("/kubernetes/{namespace}?delete=1", "Delete namespace"),
        ("/settings/api-keys?create=1", "Create API key"),
        ("/settings/api-keys/{key}?change=1", "Change key"),
        ("/settings/api-keys/{key}?rotate=1", "Rotate key"),
        ("/settings/api-keys/{key}?revoke=1", "Revoke key"),
        ("/settings/members?invite=1", "Create invitation"),
        ("/settings/members?service-user=1", "Create service user"),
        (
            "/settings/service-users/{machine}?change=1",
            "Change service user",
        ),
        ("/settings/service-users/{machine}?create=1", "Create token"),
        (
            "/settings/service-users/{machine}?delete=1",
            "Delete service user",
        ),
        ("/settings/members/{user}?change=1", "Change role"),
    ] {
        let form = admin.open(&things.fill(path)).await.form(button);
        let page = reader.submit(&form).await.expect(403);
        page.says(&sentence);
    }
    assert_eq!(state(&person).await, before);
    // The rail shows what the role may open (H2), and what it may not is refused.
    let writer = server
        .colleague(&person, "writer@example.org", "write")
        .await;
    let writer = Visitor::of(&writer);
    assert!(
        writer
            .open("/kubernetes")
            .await
            .has_button("Create namespace")
    );
    for visitor in [&reader, &writer] {
        let page = visitor.open("/kubernetes").await;
        assert!(!page.has_link("Audit") && page.has_link("API Keys"));
        for path in [
            "/settings/audit",
            "/settings/audit.csv",
            "/settings/service-users/{machine}",
        ] {
            visitor
                .get(&things.fill(path))
                .await
                .expect(403)
                .says(&sentence);
        }
    }
    assert!(admin.open("/kubernetes").await.has_link("Audit"));
}
