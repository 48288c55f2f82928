//! A form is one person's, for one thing, once.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::{
    reader::{Form, Page},
    visitor::{SESSION, Visitor, make_key, sign_in, somebody},
};
use crate::support::{Backend, Person, Server, Stopwatch, client};

/// Everything that forms change.
async fn state(person: &Person) -> Value {
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    let mut namespaces = person.get("/v1/kubernetes/namespaces").await.expect(200);
    for namespace in namespaces["items"].as_array_mut().unwrap() {
        // The sweeper's affair.
        namespace.as_object_mut().unwrap().remove("updated_at");
    }
    json!([keys, namespaces])
}

/// One form of each kind, ready to be sent.
async fn one_of_each(person: &Person, visitor: &Visitor) -> Vec<Form> {
    let namespace = person.namespace("team-ml").await;
    let namespace = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let key = person.key(json!({"all": true})).await;
    let key = format!("/settings/api-keys/{}", key.id());
    Person::sign_in(
        &person.url,
        &person.email,
        &format!("password of {}", name(person)),
    )
    .await;
    let form = async |path: &str, button: &str| visitor.open(path).await.forms(button);
    let one = async |path: &str, button: &str| {
        let forms = form(path, button).await;
        forms
            .into_iter()
            .rfind(|form| form.method == "post")
            .unwrap()
    };
    vec![
        one("/kubernetes?create=1", "Create namespace")
            .await
            .fill("Name", "second"),
        one(&format!("{namespace}?rename=1"), "Rename namespace")
            .await
            .fill("Name", "renamed"),
        one(&format!("{namespace}?delete=1"), "Delete namespace")
            .await
            .fill("Type team-ml to confirm", "team-ml"),
        one("/settings/api-keys?create=1", "Create API key")
            .await
            .fill("Name", "new")
            .choose("All"),
        one(&format!("{key}?change=1"), "Change key")
            .await
            .fill("Name", "changed"),
        one(&format!("{key}?rotate=1"), "Rotate key").await,
        one(&format!("{key}?revoke=1"), "Revoke key").await,
        one("/settings/account", "Change password")
            .await
            .fill("Current password", &format!("password of {}", name(person)))
            .fill("New password", "another long password"),
        one("/settings/account", "End all other sessions").await,
        one("/settings/account", "End session").await,
        one("/kubernetes", "Sign out").await,
    ]
}

fn name(person: &Person) -> &str {
    person.email.split('@').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_has_an_identifier_of_its_own() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let mut seen = HashSet::new();
    for form in one_of_each(&person, &visitor).await {
        let id = form.hidden("form").to_owned();
        // 256 bits, in characters that each hold six.
        assert!(id.len() >= 43, "{}: {id}", form.action);
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(id.chars().all(fits), "{id}");
        assert!(seen.insert(id), "{}", form.action);
        assert!(form.action.starts_with('/') && !form.action.starts_with("//"));
        assert!(!form.action.contains('?'), "{}", form.action);
    }
    for _ in 0..20 {
        let page = visitor.open("/settings/api-keys?create=1").await;
        let form = page.form("Create API key");
        assert!(seen.insert(form.hidden("form").to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_made_for_something_else_does_nothing() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let (bob, stranger) = somebody(&server, "bob").await;
    let colleague = server.colleague(&ada, "eve@example.org", "admin").await;
    let colleague = Visitor::of(&colleague);
    let forms = one_of_each(&ada, &visitor).await;
    let before = (state(&ada).await, state(&bob).await);
    for (at, form) in forms.iter().enumerate() {
        let other = &forms[(at + 1) % forms.len()];
        let id = form.hidden("form");
        // One character each of what proves for whom it is, and of its number.
        let middle = if &id[30..31] == "A" { "B" } else { "A" };
        let changed = format!("{}{middle}{}", &id[..30], &id[31..]);
        let first = if id.starts_with('A') { "B" } else { "A" };
        let otherwise = format!("{first}{}", &id[1..]);
        let forged = [
            ("none", form.clone().without("form")),
            ("empty", form.clone().forge("form", "")),
            ("nonsense", form.clone().forge("form", "nonsense \"><b>")),
            ("zeros", form.clone().forge("form", &"A".repeat(64))),
            ("longer", form.clone().forge("form", &format!("{id}A"))),
            ("shorter", form.clone().forge("form", &id[..id.len() - 4])),
            ("another proof", form.clone().forge("form", &changed)),
            ("another number", form.clone().forge("form", &otherwise)),
            (
                "another address's",
                form.clone().forge("form", other.hidden("form")),
            ),
        ];
        for (what, forged) in forged {
            let page = visitor.submit(&forged).await;
            assert_eq!(
                page.status(),
                403,
                "{what}: {}: {}",
                form.action,
                page.text()
            );
            assert!(
                page.text().contains("nothing was done"),
                "{what}: {}",
                page.text()
            );
            assert!(page.answer.header("set-cookie").is_none(), "{what}");
        }
        // Twice is refused as well, one that is right among them.
        visitor
            .submit(&form.clone().and("form", "x"))
            .await
            .expect(400);
        // Another person's, of another account and of the same one.
        for who in [&stranger, &colleague] {
            let page = who.submit(form).await;
            assert_eq!(page.status(), 403, "{}: {}", form.action, page.text());
            who.open("/kubernetes").await;
        }
    }
    assert_eq!((state(&ada).await, state(&bob).await), before);
    let sessions = visitor.open("/settings/account").await.rows();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    Person::sign_in(&server.url, "ada@example.org", "password of ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_and_unknown_fields_are_refused() {
    // H3, C1
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let forms = one_of_each(&ada, &visitor).await;
    let before = state(&ada).await;
    for form in &forms {
        let page = visitor.submit(&form.clone().and("extra\"><b>", "1")).await;
        assert_eq!(page.status(), 400, "{}: {}", form.action, page.text());
        assert!(!page.answer.text.contains("\"><b>"));
        for (name, value) in form.fields() {
            let page = visitor.submit(&form.clone().and(&name, &value)).await;
            // A namespace may be ticked more than once, and no form here has one.
            assert_eq!(
                page.status(),
                400,
                "{}: {name}: {}",
                form.action,
                page.text()
            );
        }
        // What is no form.
        for (kind, body) in [
            ("application/json", "{}"),
            ("text/plain", "form=x"),
            ("multipart/form-data; boundary=x", "--x--"),
            (
                "application/x-www-form-urlencoded; charset=latin1",
                "form=x",
            ),
        ] {
            let request = visitor.posted(form).header("content-type", "").body("");
            let mut request = request.build().unwrap();
            request
                .headers_mut()
                .insert("content-type", kind.parse().unwrap());
            *request.body_mut() = Some(body.into());
            let request = reqwest::RequestBuilder::from_parts(client(), request);
            let page = visitor.read(&form.action, request).await;
            assert_eq!(page.status(), 415, "{}: {kind}", form.action);
        }
        // What is too long (C5).
        let page = visitor
            .submit(&form.clone().and("x", &"x".repeat(70_000)))
            .await;
        assert_eq!(page.status(), 413, "{}", form.action);
    }
    assert_eq!(state(&ada).await, before);
    visitor.open("/kubernetes").await;
}

/// What two answers to one form must agree in.
fn told(page: &Page) -> (u16, Option<String>, String) {
    let to = page.answer.header("location").map(str::to_owned);
    (page.status(), to, page.answer.text.clone())
}

async fn sent_many_times_it_makes_one_thing(backend: Backend) {
    // H3
    let first = Server::start(backend).await;
    let second = match backend {
        Backend::Postgres => Some(first.second_instance().await),
        Backend::Sqlite => None,
    };
    let (ada, visitor) = somebody(&first, "ada").await;
    let other = visitor.at(second.as_ref().map_or(&first.url, |second| &second.url));
    let mut at_once = Vec::new();
    let forms = one_of_each(&ada, &visitor).await;
    // In an order in which none is in the way of the next.
    let order = [3, 0, 4, 5, 6, 1, 9, 8, 7];
    for at in order {
        let form = &forms[at];
        let answers = tokio::join!(
            visitor.submit(form),
            other.submit(form),
            visitor.submit(form),
            other.submit(form),
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let wanted = if form.action.ends_with("/rotate") || at == 3 {
            200
        } else {
            303
        };
        for answer in &answers {
            assert_eq!(
                answer.status(),
                wanted,
                "{}: {}",
                form.action,
                answer.text()
            );
            assert_eq!(told(answer), told(&answers[0]), "{}", form.action);
        }
        at_once.push((form.clone(), told(&answers[0])));
    }
    let keys = ada.get("/v1/account/api-keys").await.expect(200);
    let keys = keys["items"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(keys[0]["name"], "new");
    assert_eq!(
        (&keys[1]["name"], &keys[1]["status"]),
        (&json!("changed"), &json!("revoked"))
    );
    let namespaces = ada.get("/v1/kubernetes/namespaces").await.expect(200);
    let mut names: Vec<_> = namespaces["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["name"])
        .collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["renamed", "second"]);
    // Later, with something else typed in, it is still the first answer.
    for (form, wanted) in &at_once {
        let later = form.clone();
        let later = if later.fields().iter().any(|(name, _)| name == "name") {
            later.forge("name", "something-else")
        } else {
            later
        };
        for visitor in [&visitor, &other] {
            assert_eq!(
                told(&visitor.submit(&later).await),
                *wanted,
                "{}",
                form.action
            );
        }
    }
    let after = ada.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(after["items"].as_array().unwrap(), keys);
    let events = ada
        .get("/v1/account/audit-events?limit=200")
        .await
        .expect(200);
    let events = events["items"].as_array().unwrap();
    for action in ["api_key.rotated", "api_key.revoked", "namespace.renamed"] {
        let told = events.iter().filter(|event| event["action"] == action);
        assert_eq!(told.count(), 1, "{action}: {events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_many_times_makes_one_thing_on_sqlite() {
    sent_many_times_it_makes_one_thing(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_many_times_to_two_instances_makes_one_thing() {
    sent_many_times_it_makes_one_thing(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_forms_that_are_sent_at_once_are_done_one_by_one() {
    // H3: an identifier stands for one form, not for a person or a page.
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let form = async |name: &str| {
        let page = visitor.open("/settings/api-keys?create=1").await;
        page.form("Create API key")
            .fill("Name", name)
            .choose("Inference")
    };
    let forms = (form("one").await, form("two").await, form("three").await);
    let pages = tokio::join!(
        visitor.submit(&forms.0),
        visitor.submit(&forms.1),
        visitor.submit(&forms.2)
    );
    let secrets: HashSet<String> = [pages.0, pages.1, pages.2]
        .into_iter()
        .map(|page| page.expect(200).secret())
        .collect();
    assert_eq!(secrets.len(), 3);
    let keys = ada.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_is_kept_for_ten_minutes_across_restarts() {
    // H3
    let mut server = Server::start(Backend::Postgres).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/settings/api-keys?create=1").await;
    let form = page
        .form("Create API key")
        .fill("Name", "laptop")
        .choose("All");
    let renamed = ada.namespace("before").await;
    let renamed = format!("/kubernetes/{}?rename=1", renamed["id"].as_str().unwrap());
    let rename = visitor
        .open(&renamed)
        .await
        .form("Rename namespace")
        .fill("Name", "after");
    let (made, moved) = (
        visitor.submit(&form).await.expect(200),
        visitor.submit(&rename).await,
    );
    server.restart().await;
    assert_eq!(told(&visitor.submit(&form).await), told(&made));
    assert_eq!(told(&visitor.submit(&rename).await), told(&moved));
    // What is kept is sealed: neither the key nor what holds it can be read in the database.
    let database = server.database.as_ref().unwrap();
    let kept = "SELECT count(*), count(answer), min(extract(epoch FROM answer_until - now())), \
                max(extract(epoch FROM answer_until - claimed_at)) FROM form_claims";
    let row = database.query(kept).unwrap();
    let row: Vec<&str> = row.trim().split('|').collect();
    assert_eq!(&row[..2], ["2", "2"], "{row:?}");
    let kept_for: f64 = row[3].parse().unwrap();
    assert!((595.0..630.0).contains(&kept_for), "{row:?}");
    // Ten minutes later.
    let later = "UPDATE form_claims SET claimed_at = claimed_at - interval '10 minutes', \
                 answer_until = answer_until - interval '10 minutes'";
    database.query(later).unwrap();
    let hour = "SELECT to_char(claimed_at AT TIME ZONE 'UTC', 'HH24:MI') FROM form_claims \
                ORDER BY claimed_at";
    let times = database.query(hour).unwrap();
    let times: Vec<&str> = times.split_whitespace().collect();
    let spent = visitor.submit(&form).await;
    spent.refuses(
        409,
        &format!("This key was shown at {}; rotate it for another", times[0]),
    );
    assert!(!spent.answer.text.contains(&made.secret()));
    let spent = visitor.submit(&rename).await;
    spent.refuses(409, &format!("sent at {}", times[1]));
    let keys = ada.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_saved_is_shown_to_nobody_again() {
    // H3, H5
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/settings/api-keys?create=1").await;
    let create = page
        .form("Create API key")
        .fill("Name", "laptop")
        .choose("All");
    let made = visitor.submit(&create).await.expect(200);
    let item = ada.get("/v1/account/api-keys").await.expect(200)["items"][0].clone();
    let address = format!("/settings/api-keys/{}", item["id"].as_str().unwrap());
    let page = visitor.open(&format!("{address}?rotate=1")).await;
    let rotate = page.form("Rotate key");
    for (form, made) in [
        (create, made),
        (rotate.clone(), visitor.submit(&rotate).await),
    ] {
        let secret = made.expect(200);
        // Somebody else's word for it does not count.
        let (_, eve) = somebody(&server, &format!("eve-{}", form.action.len())).await;
        let saved = secret.form("I have saved this key");
        eve.submit(&saved).await.expect(403);
        assert_eq!(
            visitor.submit(&form).await.expect(200).secret(),
            secret.secret()
        );
        let done = visitor.submit(&saved).await;
        assert_eq!(done.leads_to(), address);
        let page = visitor.follow(done).await.expect(200);
        page.says("laptop");
        assert!(!page.told().is_empty(), "it says what was done");
        assert!(!page.answer.text.contains(&secret.secret()));
        for _ in 0..2 {
            let watch = Stopwatch::start();
            let again = visitor.submit(&form).await;
            assert_eq!(again.status(), 409);
            assert!(!watch.is_over(Duration::from_secs(5)), "C7: it hangs");
            let told = again.told().join(" ");
            let at = told
                .find("This key was shown at ")
                .unwrap_or_else(|| panic!("{told}"));
            let sentence = &told[at..];
            let (time, rest) = sentence["This key was shown at ".len()..].split_at(5);
            assert!(rest.starts_with("; rotate it for another"), "{told}");
            let time: Vec<u8> = time.split(':').map(|part| part.parse().unwrap()).collect();
            assert!(time[0] < 24 && time[1] < 60, "{told}");
            assert!(!again.answer.text.contains(&secret.secret()));
        }
        // Saying it again does no harm, and leads nowhere else.
        let done = visitor.submit(&saved).await;
        assert_eq!(done.leads_to(), address);
        for to in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/sign-out",
        ] {
            let done = visitor.submit(&saved.clone().forge("to", to)).await;
            if done.status() == 303 {
                assert!(done.leads_to().starts_with("/settings/api-keys"), "{to}");
            } else {
                assert!(
                    [400, 403].contains(&done.status()),
                    "{to}: {}",
                    done.status()
                );
            }
        }
    }
    let keys = ada.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_an_earlier_session_comes_back_with_what_was_typed() {
    // H3: a page that was left open, and signing in again beside it.
    let server = Server::start(Backend::Sqlite).await;
    let (ada, first) = somebody(&server, "ada").await;
    let forms = one_of_each(&ada, &first).await;
    let before = state(&ada).await;
    let later = Visitor::new(&server.url);
    sign_in(&later, "ada").await.expect(200);
    let labels = [
        (0, "Create namespace", "Name"),
        (1, "Rename namespace", "Name"),
        (2, "Delete namespace", "Type team-ml to confirm"),
        (3, "Create API key", "Name"),
        (4, "Change key", "Name"),
        (5, "Rotate key", "The old secret works on for"),
    ];
    for (at, button, label) in labels {
        let form = &forms[at];
        let page = later.submit(form).await;
        assert_eq!(page.status(), 409, "{}: {}", form.action, page.text());
        assert!(
            !page.texts("main [role=alert]").is_empty(),
            "{}",
            page.text()
        );
        let name = form.fields().into_iter().find(|(name, _)| name == "name");
        if let Some((_, typed)) = name {
            assert_eq!(page.value(label), typed, "{}", form.action);
        }
        let fresh = page.form(button);
        assert_ne!(fresh.hidden("form"), form.hidden("form"));
    }
    for at in [6, 7, 8, 9] {
        let page = later.submit(&forms[at]).await;
        assert_eq!(page.status(), 409, "{}: {}", forms[at].action, page.text());
    }
    assert_eq!(state(&ada).await, before);
    // One look, and it is sent again.
    let page = later.submit(&forms[3]).await.expect(409);
    assert!(page.is_ticked("All"));
    let made = later.submit(&page.form("Create API key")).await.expect(200);
    made.secret();
    let keys = ada.get("/v1/account/api-keys").await.expect(200);
    assert_eq!(keys["items"][0]["name"], "new");
    // What was shown to the earlier session is not shown to the later one.
    let shown = first.submit(&forms[3]).await.expect(200).secret();
    let page = later.submit(&forms[3]).await.expect(409);
    assert!(!page.answer.text.contains(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_lives_as_long_as_its_session() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/settings/api-keys?create=1").await;
    let form = page
        .form("Create API key")
        .fill("Name", "laptop")
        .choose("All");
    let made = visitor.submit(&form).await.expect(200);
    let token = visitor.cookie(SESSION).unwrap();
    visitor.press(&page, "Sign out").await;
    for cookie in ["rgse_none", &token] {
        visitor.set_cookie(SESSION, cookie);
        let page = visitor.submit(&form).await.expect(401);
        assert!(
            !page.answer.text.contains(&made.secret()),
            "a secret without a session"
        );
    }
    make_key(&somebody(&server, "bob").await.1, "other").await;
}
