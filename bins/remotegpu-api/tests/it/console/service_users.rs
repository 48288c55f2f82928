//! Machines that manage, on their pages.

use serde_json::{Value, json};

use super::{
    reader::Page,
    visitor::{Visitor, somebody},
};
use crate::support::{Answer, Backend, Person, Server, ServerOptions, client};

const MEMBERS: &str = "/settings/members";
const TAKE_OVER: &str = "Take over the API keys: they go on working, and you answer for them";

async fn machines(person: &Person) -> Vec<Value> {
    let listed = person.get("/v1/account/service-users").await.expect(200);
    listed["items"].as_array().unwrap().clone()
}

/// Makes one, and answers the address of its page.
async fn make(visitor: &Visitor, name: &str, role: &str) -> String {
    let page = visitor.open(&format!("{MEMBERS}?service-user=1")).await;
    assert_eq!(page.texts("dialog[open] h2"), ["Create service user"]);
    let form = page.form("Create service user").fill("Name", name);
    let done = visitor.submit(&form.clone().choose(role)).await;
    let page = done.leads_to().to_owned();
    // H3: the form again makes no other.
    assert_eq!(visitor.submit(&form.choose(role)).await.leads_to(), page);
    page
}

async fn token(visitor: &Visitor, page: &str, name: &str) -> Page {
    let form = visitor.open(&format!("{page}?create=1")).await;
    let form = form.form("Create token").fill("Name", name);
    visitor.submit(&form).await.expect(200)
}

async fn says_who_it_is(server: &Server, token: &str) -> Answer {
    let request = client().get(format!("{}/v1/auth/session", server.url));
    Answer::read(request.bearer_auth(token).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_made_gets_a_token_that_is_shown_once_and_is_deleted() {
    // T8, H3, H5
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let page = visitor.open(MEMBERS).await;
    page.says("A service user is a machine that manages");
    let page = visitor.press(&page, "Create service user").await;
    assert_eq!(page.texts("dialog[open] h2"), ["Create service user"]);
    let ci = make(&visitor, " ci ", "Write").await;
    let made = machines(&ada).await;
    assert_eq!(made.len(), 1);
    let id = made[0]["id"].as_str().unwrap();
    assert_eq!(
        (&made[0]["name"], &made[0]["role"]),
        (&json!("ci"), &json!("write"))
    );
    assert_eq!(ci, format!("/settings/service-users/{id}"));
    let list = visitor.open(MEMBERS).await;
    assert_eq!(list.link("ci"), ci);
    let page = visitor.open(&ci).await;
    assert_eq!(page.heading(), "ci");
    assert_eq!(page.fact("Role"), "write");
    page.says("There is none yet");

    let page = visitor.press(&page, "Create token").await.expect(200);
    assert_eq!(page.value("Expiration"), "30 days");
    let options = page.texts("select[name=expiration] option");
    assert_eq!(options, ["1 day", "7 days", "30 days", "90 days", "1 year"]);
    let form = page.form("Create token").fill("Name", "main branch");
    let form = form.select("Expiration", "90 days");
    let shown = visitor.submit(&form).await.expect(200);
    assert_eq!(shown.heading(), "Service user token created");
    assert_eq!(shown.answer.header("cache-control"), Some("no-store"));
    let secret = shown.secret();
    assert!(secret.starts_with("rgsu_"), "{secret}");
    let commands = shown.texts("pre code").join("\n");
    for line in [
        &format!("export REMOTEGPU_TOKEN={secret}"),
        "remotegpu keys list",
    ] {
        assert!(commands.contains(line), "{commands}");
    }
    // The same answer again, and one token.
    assert_eq!(visitor.submit(&form).await.expect(200).secret(), secret);
    let tokens = format!("/v1/account/service-users/{id}/tokens");
    let listed = ada.get(&tokens).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let session = says_who_it_is(&server, &secret).await.expect(200);
    assert_eq!(session["service_user"], json!({"id": id, "name": "ci"}));

    // Forgotten, it is never shown again.
    let saved = visitor.press(&shown, "I have saved this token").await;
    assert_eq!(saved.path, ci);
    assert_eq!(
        saved.told(),
        ["The token is forgotten here. You have the only copy."]
    );
    let row = &saved.rows()[0];
    assert_eq!(
        (&*row["Name"], &*row["Token"]),
        ("main branch", &secret[..13])
    );
    assert_eq!(
        (&*row["Status"], &*row["Expiration"]),
        ("active", "in 90 d")
    );
    assert_ne!(row["Last used"], "never");
    let again = visitor.submit(&form).await.expect(409);
    again.says("delete it and create another");
    for path in [MEMBERS, &ci, "/settings/audit", "/v1/account/audit-events"] {
        let page = visitor.open(path).await;
        assert!(!page.answer.text.contains(&secret), "{path}");
    }
    assert!(!server.log().contains(&secret));

    // A token ends, and then what had it.
    let page = visitor.press(&saved, "Delete token").await.expect(200);
    assert_eq!(page.texts("dialog[open] h2"), ["Delete token"]);
    let form = page.form("Delete token");
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), ci);
    assert_eq!(visitor.submit(&form).await.leads_to(), ci);
    says_who_it_is(&server, &secret)
        .await
        .problem(401, "invalid_access_token");
    let secret = token(&visitor, &ci, "other").await.secret();
    says_who_it_is(&server, &secret).await.expect(200);
    let page = visitor.open(&format!("{ci}?delete=1")).await;
    let form = page.form("Delete service user");
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), MEMBERS);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(
        page.told(),
        ["The service user was deleted. Its tokens open nothing any more."]
    );
    assert!(!page.has_link("ci"));
    assert_eq!(visitor.submit(&form).await.leads_to(), MEMBERS);
    says_who_it_is(&server, &secret)
        .await
        .problem(401, "invalid_access_token");
    visitor.get(&ci).await.expect(404);
    assert!(machines(&ada).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_changed_and_what_ends_with_it_is_named_and_taken_over() {
    // T8, K15, H3
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let machine = ada.service_user("write").await;
    let key = machine.caller.key(json!({"all": true})).await;
    let page = format!("/settings/service-users/{}", machine.id);
    let open = visitor.open(&format!("{page}?change=1")).await;
    assert_eq!(open.value("Name"), "ci");
    open.says("With the role read these end")
        .says("API key test");
    let form = open.form("Change service user");
    let refused = visitor.submit(&form.clone().fill("Name", " ")).await;
    assert!(refused.expect(400).error_at("Name").starts_with("Name "));
    let label = "Take over the API keys that would end: they go on working, and you answer for \
                 them";
    let form = form.fill("Name", "GitOps").choose("Read").choose(label);
    let open = visitor.open(&format!("{page}?change=1")).await;
    let back = open.form("Change service user").choose("Write");
    let done = visitor.submit(&form).await;
    assert_eq!(done.leads_to(), page);
    let changed = visitor.follow(done).await.expect(200);
    assert_eq!(changed.heading(), "GitOps");
    assert_eq!(changed.fact("Role"), "read");
    assert_eq!(
        changed.told(),
        ["The service user was changed. It holds with its next request."]
    );
    key.get("/v1/auth/key").await.expect(200);

    visitor.submit(&back).await.leads_to();
    let key = machine.caller.key(json!({"all": true})).await;
    let dead = machine.caller.key(json!({"inference": true})).await;
    machine.caller.revoke(&dead).await;
    let open = visitor.open(&format!("{page}?delete=1")).await;
    assert_eq!(open.texts("dialog li"), ["API key test"]);
    let form = open.form("Delete service user").choose(TAKE_OVER);
    assert_eq!(visitor.submit(&form).await.leads_to(), MEMBERS);
    key.get("/v1/auth/key").await.expect(200);

    // Without that, they end.
    let machine = ada.service_user("write").await;
    let key = machine.caller.key(json!({"all": true})).await;
    let page = format!("/settings/service-users/{}", machine.id);
    let open = visitor.open(&format!("{page}?delete=1")).await;
    visitor
        .submit(&open.form("Delete service user"))
        .await
        .leads_to();
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_never_reads_active() {
    // T8, H3
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let machine = ada.service_user("read").await;
    let tokens = format!("{}/tokens", machine.path());
    let short = json!({"name": "short", "expires_in_seconds": 1});
    ada.post(&tokens, short).await.expect(201);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let page = format!("/settings/service-users/{}", machine.id);
    let list = visitor.open(&page).await;
    assert_eq!(list.column("Name"), ["short", "main"]);
    assert_eq!(list.column("Status"), ["expired", "active"]);
    // What is refused is said at its field, and what was typed comes back.
    let open = visitor.open(&format!("{page}?create=1")).await;
    let form = open.form("Create token").fill("Name", " ");
    let refused = visitor.submit(&form.forge("expiration", "31")).await;
    let refused = refused.expect(400);
    assert!(refused.error_at("Name").starts_with("Name "));
    assert_eq!(
        refused.error_at("Expiration"),
        "The expiration must be one of the choices"
    );
    // A token of another is none of this one's.
    let other = ada.service_user("read").await;
    let foreign = format!(
        "/settings/service-users/{}?delete-token={}",
        other.id,
        machine.token_id()
    );
    let page = visitor.open(&foreign).await;
    assert!(page.all("dialog").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_admin_sees_none_and_makes_none() {
    // T8, A11, H2
    let server = Server::start(Backend::Sqlite).await;
    let (ada, admin) = somebody(&server, "ada").await;
    let machine = ada.service_user("write").await;
    let page = format!("/settings/service-users/{}", machine.id);
    let before = machines(&ada).await;
    let forms = [
        (format!("{MEMBERS}?service-user=1"), "Create service user"),
        (format!("{page}?change=1"), "Change service user"),
        (format!("{page}?delete=1"), "Delete service user"),
        (format!("{page}?create=1"), "Create token"),
        (
            format!("{page}?delete-token={}", machine.token_id()),
            "Delete token",
        ),
    ];
    for role in ["write", "read"] {
        let email = format!("{role}@example.org");
        let colleague = server.colleague(&ada, &email, role).await;
        let visitor = Visitor::of(&colleague);
        let members = visitor.open(&format!("{MEMBERS}?service-user=1")).await;
        members.says_not("Service users").says("ada@example.org");
        assert!(!members.has_link("ci") && members.all("dialog").is_empty());
        visitor.get(&page).await.expect(403);
        for (path, button) in &forms {
            let form = admin.open(path).await.form(button);
            visitor.submit(&form).await.expect(403);
        }
    }
    assert_eq!(machines(&ada).await, before);
    // Nor does a form that was made for nobody.
    let form = admin.open(&forms[0].0).await.form("Create service user");
    let forged = form.fill("Name", "x").choose("Admin").forge("form", "x");
    admin.submit(&forged).await.expect(403);
    assert_eq!(machines(&ada).await, before);
    machine.caller.get("/v1/auth/session").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_them_leads_to_the_next() {
    // T8, C4
    let options = ServerOptions::new(Backend::Sqlite).with("service-user-limit", "60");
    let server = Server::start_with(options).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    for at in 0..51 {
        let body = json!({"name": format!("machine {at}"), "role": "read"});
        ada.post("/v1/account/service-users", body)
            .await
            .expect(201);
    }
    let page = visitor.open(MEMBERS).await;
    assert!(page.has_link("machine 50") && !page.has_link("machine 0"));
    let next = page.link("Load more service users");
    let page = visitor.open(&next).await;
    assert!(page.has_link("machine 0") && !page.has_link("machine 50"));
}
