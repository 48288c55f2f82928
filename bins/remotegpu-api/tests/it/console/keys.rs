//! API keys on their pages.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    reader::Page,
    visitor::{Visitor, make_key, somebody},
};
use crate::support::{
    Answer, Backend, Person, Server, ServerOptions, client, eventually, in_millis, time_of,
};

const PAGE: &str = "/settings/api-keys";

async fn keys(person: &Person) -> Vec<Value> {
    let keys = person.get("/v1/account/api-keys").await.expect(200);
    keys["items"].as_array().unwrap().clone()
}

async fn create(visitor: &Visitor) -> Page {
    visitor.open(&format!("{PAGE}?create=1")).await
}

/// What the API says to a key about itself.
async fn with_key(server: &Server, key: &str) -> Answer {
    let request = client().get(format!("{}/v1/auth/key", server.url));
    Answer::read(request.header("x-api-key", key).send().await.unwrap()).await
}

/// In how many days a time is, rounded.
fn days(item: &Value) -> i64 {
    let now = time_of(&json!(in_millis(0).replace("+00:00", "Z")));
    (time_of(item) - now + time::Duration::hours(12)).whole_days()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_keys_is_told_what_they_are_for() {
    // H1
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let page = visitor.open(PAGE).await;
    assert_eq!(page.heading(), "Settings / API Keys");
    assert_eq!(page.title(), "Settings / API Keys · RemoteGPU");
    page.says("You have none yet");
    // One primary action, and it opens the dialog.
    let buttons = page.forms("Create API key");
    assert_eq!(buttons.len(), 1, "{buttons:?}");
    let page = visitor.send(&buttons[0]).await.expect(200);
    assert_eq!(page.texts("dialog[open] h2"), ["Create API key"]);
    for label in ["Inference", "Kubernetes exec", "All"] {
        assert_eq!(page.labelled(label).attr("type"), Some("radio"), "{label}");
        // One line each on when to use it.
        let id = page.labelled(label).attr("aria-describedby").unwrap();
        assert!(
            !page.texts(&format!("[id='{id}']"))[0].is_empty(),
            "{label}"
        );
    }
    // 90 days are chosen beforehand.
    assert_eq!(page.value("Ends"), "90 days");
    assert_eq!(page.value("Name"), "");
    // Without scripts a dialog closes by a link.
    assert_eq!(page.link("Cancel"), PAGE);
    assert_eq!(page.labelled("Name").attr("maxlength"), Some("64"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_with_each_scope() {
    // H1, H5, K9
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let (one, two) = (person.namespace("one").await, person.namespace("two").await);
    let form = create(&visitor).await.form("Create API key");
    let forms = [
        (
            form.clone()
                .fill("Name", " all of it ")
                .choose("All")
                .select("Ends", "Never"),
            json!({"all": true}),
            "All",
            None,
        ),
        (
            form.clone()
                .fill("Name", "models")
                .choose("Inference")
                .select("Ends", "30 days"),
            json!({"inference": true}),
            "Inference",
            Some(30),
        ),
        (
            form.clone()
                .fill("Name", "everywhere")
                .choose("Kubernetes exec"),
            json!({"kubernetes_exec": {"all_namespaces": true}}),
            "Kubernetes exec: every namespace",
            Some(90),
        ),
        (
            form.clone()
                .fill("Name", "here")
                .choose("Kubernetes exec")
                .choose("Only these:")
                .choose("two")
                .select("Ends", "1 year"),
            json!({"kubernetes_exec": {"namespace_ids": [two["id"]]}}),
            "Kubernetes exec: two",
            Some(365),
        ),
        (
            form.clone()
                .fill("Name", "both")
                .choose("Kubernetes exec")
                .choose("Only these:")
                .choose("one")
                .choose("two"),
            json!({"kubernetes_exec": {"namespace_ids": [one["id"], two["id"]]}}),
            "Kubernetes exec: one, two",
            Some(90),
        ),
    ];
    for (form, scopes, in_words, ends) in forms {
        // Each has to be a form of its own.
        let fresh = create(&visitor).await.form("Create API key");
        let form = form.forge("form", fresh.hidden("form"));
        let page = visitor.submit(&form).await.expect(200);
        assert_eq!(page.answer.header("cache-control"), Some("no-store"));
        let secret = page.secret();
        // The exact commands for it stand beside it.
        let commands = page.texts("pre code");
        let export = format!("export REMOTEGPU_API_KEY={secret}");
        assert!(commands.contains(&export), "{commands:?}");
        assert!(
            commands
                .iter()
                .any(|c| c.contains(&format!("{}/v1/auth/key", server.url)))
        );
        let item = keys(&person).await[0].clone();
        assert_eq!(
            with_key(&server, &secret).await.expect(200)["id"],
            item["id"]
        );
        assert_eq!(item["scopes"], scopes);
        let name = form
            .fields()
            .into_iter()
            .find(|(name, _)| name == "name")
            .unwrap()
            .1;
        assert_eq!(item["name"], name.trim());
        match ends {
            None => assert_eq!(item["expires_at"], Value::Null),
            Some(ends) => assert_eq!(days(&item["expires_at"]), ends, "{item}"),
        }
        let row = visitor.open(PAGE).await.rows().remove(0);
        assert_eq!(row["Name"], name.trim());
        assert_eq!(row["Prefix"], item["prefix"].as_str().unwrap());
        assert_eq!(row["Scope"], in_words);
        assert_eq!(row["Status"], "active");
        let ends = ends.map_or("never".to_owned(), |days| format!("in {days} d"));
        assert_eq!(row["Ends"], ends);
    }
    // To the end of a day, in UTC.
    let form = create(&visitor)
        .await
        .form("Create API key")
        .fill("Name", "day")
        .choose("All");
    let form = form.select("Ends", "A date").fill("The date", "2199-12-31");
    visitor.submit(&form).await.expect(200);
    assert_eq!(keys(&person).await[0]["expires_at"], "2200-01-01T00:00:00Z");
    // `created_by` is who is signed in, whichever way they came (K1).
    let all = keys(&person).await;
    let made = person.key(json!({"all": true})).await.item;
    assert!(
        all.iter()
            .all(|key| key["created_by"] == made["created_by"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_key_is_said_at_its_field() {
    // H3, K4, K5, K10, K12
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let foreign = server.person("bob").await.namespace("of-bob").await;
    let own = person.namespace("own").await;
    let form = create(&visitor)
        .await
        .form("Create API key")
        .fill("Name", "laptop")
        .choose("All");
    let refused = async |form, status: u16| visitor.submit(&form).await.expect(status);
    for name in [
        "",
        "   ",
        &"x".repeat(65),
        "a\u{202E}b",
        "a\nb",
        "a\u{2028}b",
        "\u{7F}",
    ] {
        let page = refused(form.clone().fill("Name", name), 400).await;
        let said = page.error_at("Name");
        assert!(said.starts_with("Name "), "{said}");
        assert!(page.is_ticked("All"));
        if !name.contains('\n') {
            assert_eq!(page.value("Name"), name);
        }
        // The focus goes where the error is.
        assert!(
            page.labelled("Name").attr("autofocus").is_some(),
            "{name:?}"
        );
    }
    for date in ["", "tomorrow", "2020-01-01", "99999-01-01", "2199-02-30"] {
        let typed = form.clone().select("Ends", "A date").fill("The date", date);
        let page = refused(typed, 400).await;
        assert!(!page.error_at("Ends").is_empty(), "{date}");
        assert_eq!(page.value("The date"), date);
        assert_eq!(
            (page.value("Ends"), page.value("Name")),
            ("A date".into(), "laptop".into())
        );
    }
    refused(form.clone().forge("ends", "forever"), 400)
        .await
        .error_at("Ends");
    // Both at once.
    let both = form.clone().fill("Name", "").forge("ends", "x");
    let page = refused(both, 400).await;
    page.error_at("Name");
    page.error_at("Ends");
    // The sentences are the API's own, byte for byte.
    for (scope, sentence) in [
        ("", "At least one explicit scope is required"),
        ("x", "At least one"),
    ] {
        refused(form.clone().forge("scope", scope), 400)
            .await
            .refuses(400, sentence);
    }
    let chosen = form.clone().choose("Kubernetes exec").choose("Only these:");
    let none = "At least one namespace ID is required unless all_namespaces is true";
    let page = refused(chosen.clone(), 400).await;
    page.refuses(400, none);
    assert!(page.is_ticked("Only these:") && page.is_ticked("Kubernetes exec"));
    let mut told = Vec::new();
    for id in [
        foreign["id"].as_str().unwrap(),
        "01a00000-0000-7000-8000-000000000000",
    ] {
        let page = refused(chosen.clone().and("namespace", id), 400).await;
        told.push(page.told());
        assert!(!page.answer.text.contains("of-bob"));
    }
    assert_eq!(told[0], told[1]);
    refused(chosen.clone().and("namespace", "\"><b>"), 400).await;
    // What is ticked and does not count is no mistake, nor is a box that is ticked twice.
    let own = own["id"].as_str().unwrap();
    let twice = chosen.clone().and("namespace", own).and("namespace", own);
    visitor.submit(&twice).await.expect(200);
    assert_eq!(keys(&person).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_keys_are_told() {
    // K8, K16
    let options = ServerOptions::new(Backend::Sqlite)
        .with("key-limit", "2")
        .with("key-change-rate", "3");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    for name in ["one", "two"] {
        make_key(&visitor, name).await;
    }
    let form = create(&visitor)
        .await
        .form("Create API key")
        .fill("Name", "three")
        .choose("All");
    let body = json!({"name": "x", "scopes": {"all": true}});
    let sentence = person
        .post("/v1/account/api-keys", body)
        .await
        .problem(409, "key_limit");
    let page = visitor.submit(&form).await;
    page.refuses(409, &sentence);
    assert_eq!(page.value("Name"), "three");
    assert!(page.is_ticked("All"));
    let id = keys(&person).await[0]["id"].as_str().unwrap().to_owned();
    let rotate = async || {
        let page = visitor.open(&format!("{PAGE}/{id}?rotate=1")).await;
        visitor.submit(&page.form("Rotate key")).await
    };
    rotate().await.expect(200);
    let often = rotate().await.expect(429);
    assert!(often.answer.header("retry-after").is_some());
    assert!(!often.texts("main [role=alert]").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_on_its_page() {
    // H3, K12
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    make_key(&visitor, "laptop").await;
    let before = keys(&person).await.remove(0);
    let address = format!("{PAGE}/{}", before["id"].as_str().unwrap());
    let page = visitor.open(PAGE).await;
    assert_eq!(page.link("laptop"), address);
    let page = visitor.open(&address).await;
    assert_eq!(page.heading(), "laptop");
    assert_eq!(page.fact("Scope"), "All");
    assert_eq!(page.fact("Status"), "active");
    assert!(page.fact("Ends").starts_with("in 90 d"));
    let change = async || visitor.press(&visitor.open(&address).await, "Change").await;
    // Changing the name alone keeps all else.
    let page = change().await;
    assert_eq!(page.value("Name"), "laptop");
    assert!(page.is_ticked("All"));
    assert_eq!(page.value("Ends"), "As it is");
    let done = visitor
        .submit(&page.form("Change key").fill("Name", "desktop"))
        .await;
    assert_eq!(done.leads_to(), address);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(page.told(), ["The key was changed."]);
    assert_eq!(page.heading(), "desktop");
    // It is said once.
    assert!(visitor.open(&address).await.told().is_empty());
    let mut renamed = keys(&person).await.remove(0);
    assert_eq!(renamed["name"], "desktop");
    renamed["name"] = before["name"].clone();
    assert_eq!(renamed, before);
    // Scope and end.
    let form = change().await.form("Change key");
    let form = form
        .choose("Kubernetes exec")
        .choose("Only these:")
        .choose("team-ml");
    visitor
        .send(&form.select("Ends", "Never"))
        .await
        .expect(200);
    let key = keys(&person).await.remove(0);
    let only = json!({"kubernetes_exec": {"namespace_ids": [namespace["id"]]}});
    assert_eq!((&key["scopes"], &key["expires_at"]), (&only, &Value::Null));
    let page = change().await;
    for ticked in ["Kubernetes exec", "Only these:", "team-ml"] {
        assert!(page.is_ticked(ticked), "{ticked}");
    }
    // Refused, with what was typed.
    let wrong = visitor
        .submit(&page.form("Change key").fill("Name", " ").choose("All"))
        .await;
    assert_eq!(wrong.status(), 400);
    assert!(!wrong.error_at("Name").is_empty());
    assert!(wrong.is_ticked("All"));
    assert_eq!(keys(&person).await.remove(0), key);
    // A namespace that is gone stays in the scope and opens nothing (K12).
    let id = namespace["id"].as_str().unwrap();
    person
        .delete(&format!("/v1/kubernetes/namespaces/{id}"))
        .await
        .expect(202);
    visitor.open(&address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_namespace_is_gone_is_still_renamed() {
    // K12: a change that does not touch the scopes never judges them.
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let id = namespace["id"].as_str().unwrap();
    let key = person
        .key(json!({"kubernetes_exec": {"namespace_ids": [id]}}))
        .await;
    person
        .delete(&format!("/v1/kubernetes/namespaces/{id}"))
        .await
        .expect(202);
    let page = visitor.open(&format!("{PAGE}/{}?change=1", key.id())).await;
    let done = visitor
        .submit(&page.form("Change key").fill("Name", "renamed"))
        .await;
    assert_eq!(done.status(), 303, "{:?}", done.told());
    let after = keys(&person).await.remove(0);
    assert_eq!(after["name"], "renamed");
    assert_eq!(after["scopes"], key.item["scopes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_with_grace_or_without() {
    // H3, H5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let first = make_key(&visitor, "laptop").await.secret();
    let item = keys(&person).await.remove(0);
    let address = format!("{PAGE}/{}", item["id"].as_str().unwrap());
    let rotate = async |grace: &str| {
        let page = visitor
            .press(&visitor.open(&address).await, "Rotate key")
            .await;
        assert_eq!(page.texts("dialog[open] h2"), ["Rotate API key"]);
        page.says("laptop");
        let form = page
            .form("Rotate key")
            .select("The old secret works on for", grace);
        visitor.submit(&form).await.expect(200)
    };
    let page = rotate("1 hour").await;
    let second = page.secret();
    assert_ne!(first, second);
    for secret in [&first, &second] {
        with_key(&server, secret).await.expect(200);
    }
    let third = rotate("Not at all").await.secret();
    for secret in [&first, &second] {
        with_key(&server, secret)
            .await
            .problem(401, "invalid_api_key");
    }
    with_key(&server, &third).await.expect(200);
    let after = keys(&person).await;
    assert_eq!(after.len(), 1);
    for same in ["id", "name", "scopes", "created_at", "expires_at"] {
        assert_eq!(after[0][same], item[same], "{same}");
    }
    let page = visitor.open(&format!("{address}?rotate=1")).await;
    let form = page.form("Rotate key");
    for grace in ["", "-1", "86401", "1.5", "soon"] {
        let page = visitor
            .submit(&form.clone().forge("grace", grace))
            .await
            .expect(400);
        assert!(
            !page.error_at("The old secret works on for").is_empty(),
            "{grace}"
        );
    }
    with_key(&server, &third).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_by_one_click_more() {
    // H3, K6
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let secret = make_key(&visitor, "laptop").await.secret();
    let id = keys(&person).await[0]["id"].as_str().unwrap().to_owned();
    let address = format!("{PAGE}/{id}");
    let open = async |act: &str| visitor.open(&format!("{address}?{act}=1")).await;
    let late = [
        open("change")
            .await
            .form("Change key")
            .fill("Name", "other"),
        open("rotate").await.form("Rotate key"),
        open("revoke").await.form("Revoke key"),
    ];
    let page = visitor
        .press(&visitor.open(&address).await, "Revoke key")
        .await;
    // What ends, when, and what goes on.
    let dialog = page.texts("dialog[open]").remove(0);
    for said in [
        "laptop",
        "from now on",
        "within a second",
        "cannot be undone",
        "go on running",
    ] {
        assert!(dialog.contains(said), "{said}: {dialog}");
    }
    let done = visitor.submit(&page.form("Revoke key")).await;
    assert_eq!(done.leads_to(), address);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(
        page.told(),
        ["The key was revoked. Calls with it fail from now on."]
    );
    assert_eq!(page.fact("Status"), "revoked");
    with_key(&server, &secret)
        .await
        .problem(401, "invalid_api_key");
    for button in ["Change", "Rotate key", "Revoke key"] {
        assert!(!page.has_button(button), "{button}");
    }
    // A page that was left open says why nothing happens.
    for form in late {
        let page = visitor.submit(&form).await;
        page.refuses(409, "Revoked or expired keys cannot be modified");
    }
    assert_eq!(visitor.open(PAGE).await.rows()[0]["Status"], "revoked");
    assert_eq!(keys(&person).await[0]["name"], "laptop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_like_another_is_offered_and_not_made() {
    // H3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let (one, two) = (person.namespace("one").await, person.namespace("two").await);
    person.namespace("three").await;
    let scopes = json!({"kubernetes_exec": {"namespace_ids": [one["id"], two["id"]]}});
    let key = person.key(scopes.clone()).await;
    let page = visitor.open(&format!("{PAGE}/{}", key.id())).await;
    let page = visitor.open(&page.link("Make one like this")).await;
    assert_eq!(page.value("Name"), "test");
    for (label, ticked) in [("one", true), ("two", true), ("three", false)] {
        assert_eq!(page.is_ticked(label), ticked, "{label}");
    }
    assert_eq!(page.value("Ends"), "90 days");
    assert_eq!(keys(&person).await.len(), 1);
    visitor
        .submit(&page.form("Create API key"))
        .await
        .expect(200);
    assert_eq!(keys(&person).await[0]["scopes"], scopes);
}

/// Letters beyond ASCII, on whichever database.
async fn odd_names_are_found(person: &Person, visitor: &Visitor) {
    for name in ["Ärger", "ÇA", "\u{7BA1}\u{7406}"] {
        let body = json!({"name": name, "scopes": {"all": true}});
        person.post("/v1/account/api-keys", body).await.expect(201);
        let form = visitor.open(PAGE).await.form("Search");
        let found = visitor
            .submit(&form.fill("Search in names and prefixes", name))
            .await
            .expect(200);
        assert_eq!(found.column("Name"), [name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_searched_and_marked() {
    // H3
    let options = ServerOptions::new(Backend::Sqlite).with("key-limit", "200");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    for at in 0..60 {
        let body = json!({"name": format!("key {at:02}"), "scopes": {"all": true}});
        person.post("/v1/account/api-keys", body).await.expect(201);
    }
    let page = visitor.open(PAGE).await;
    let first = page.column("Name");
    assert_eq!(first.len(), 50);
    assert_eq!(
        (&*first[0], &*first[49]),
        ("key 59", "key 10"),
        "newest first"
    );
    page.says("50 or more keys");
    let link = page.link("Load more");
    assert!(!link.contains("?&"), "{link}");
    let rest = visitor.open(&link).await;
    let rest_of = rest.column("Name");
    assert_eq!((rest_of.len(), &*rest_of[9]), (10, "key 00"));
    assert!(!rest.has_link("Load more"));
    // By name, whatever its case, and by prefix; in the server and in the address.
    let search = async |text: &str| {
        let page = visitor.open(PAGE).await;
        let form = page.form("Search");
        assert_eq!(form.method, "get");
        visitor
            .submit(&form.fill("Search in names and prefixes", text))
            .await
            .expect(200)
    };
    let found = search("KEY 1").await;
    assert_eq!(found.column("Name").len(), 10);
    assert_eq!(found.value("Search in names and prefixes"), "KEY 1");
    assert!(found.path.contains("q=KEY"), "{}", found.path);
    let prefix = keys(&person).await[3]["prefix"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(search(&prefix).await.column("Prefix"), [prefix]);
    let many = search("key").await;
    assert_eq!(many.rows().len(), 50);
    let more = many.link("Load more");
    assert!(more.contains("q=key"), "{more}");
    assert_eq!(visitor.open(&more).await.rows().len(), 10);
    odd_names_are_found(&person, &visitor).await;
    // What a pattern would mean to a database means nothing here.
    for text in [
        "%",
        "k_y",
        "key%0",
        "\\",
        "'; DROP TABLE api_keys; --",
        "\"><b>",
        "*",
    ] {
        let page = search(text).await;
        assert!(page.rows().is_empty(), "{text}");
        assert_eq!(page.value("Search in names and prefixes"), text);
    }
    // Marks and a status that is true at this moment.
    for (name, ends) in [("soon", 6 * 86_400_000), ("later", 8 * 86_400_000)] {
        let body = json!({"name": name, "scopes": {"all": true}, "expires_at": in_millis(ends)});
        person.post("/v1/account/api-keys", body).await.expect(201);
    }
    let body = json!({"name": "over", "scopes": {"all": true}, "expires_at": in_millis(700)});
    person.post("/v1/account/api-keys", body).await.expect(201);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let rows = visitor.open(PAGE).await.rows();
    assert_eq!(rows[0]["Status"], "expired");
    assert_eq!(rows[1]["Status"], "active");
    assert_eq!(rows[2]["Status"], "active ends soon");
    for bad in ["limit=0", "limit=x", "cursor=nonsense"] {
        let page = visitor.get(&format!("{PAGE}?{bad}")).await;
        assert_eq!(page.status(), 400, "{bad}");
    }
    let request = visitor.request(Method::GET, &format!("{PAGE}?q=a&q=b"));
    visitor.read(PAGE, request).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_rests_and_one_that_is_used_are_told_apart() {
    // H3
    let server = Server::start(Backend::Postgres).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let (used, _rests) = (
        make_key(&visitor, "used").await.secret(),
        make_key(&visitor, "rests").await,
    );
    let database = server.database.as_ref().unwrap();
    let old = "UPDATE api_keys SET created_at = created_at - interval '91 days'";
    database.query(old).unwrap();
    with_key(&server, &used).await.expect(200);
    eventually(
        "a use is written down",
        Duration::from_secs(30),
        async || {
            !keys(&person)
                .await
                .iter()
                .all(|key| key["last_used_at"].is_null())
        },
    )
    .await;
    let rows = visitor.open(PAGE).await.rows();
    for row in rows {
        if row["Name"] == "used" {
            assert_eq!(row["Status"], "active");
            assert_ne!(row["Last used"], "never");
        } else {
            assert_eq!(row["Status"], "active unused for 90 days");
            assert_eq!(row["Last used"], "never");
        }
    }
    odd_names_are_found(&person, &visitor).await;
}
