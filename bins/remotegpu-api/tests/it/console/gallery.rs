//! Every page, in every state that it has: what holds for all of them is asked of these.

use serde_json::json;

use super::{
    reader::{Form, Page},
    visitor::{Visitor, make_key, sign_in, somebody},
};
use crate::support::Server;

/// Those of who is not signed in, or not yet whole.
async fn outside(server: &Server, account: &str) -> Vec<Page> {
    let nobody = Visitor::new(&server.url);
    let sign_up = nobody.open("/sign-up").await;
    let made = [
        "user",
        "create",
        "new@example.org",
        "--account-id",
        account,
        "--role",
        "write",
    ];
    let once = server.admin(&made);
    let new = Visitor::new(&server.url);
    let form = nobody.open("/sign-in").await.form("Sign in");
    let form = form
        .fill("E-mail", "new@example.org")
        .fill("Password", once.trim());
    let first = new.send(&form).await;
    let wrong = first.form("Change password").fill("New password", "short");
    vec![
        nobody.open("/sign-in?next=%2Fkubernetes").await,
        nobody
            .submit(&form.clone().fill("Password", "wrong, quite wrong"))
            .await,
        nobody.submit(&form.clone().forge("extra", "1")).await,
        nobody
            .submit(&sign_up.form("Sign up").fill("E-mail", "x"))
            .await,
        sign_up,
        new.submit(&wrong).await,
        first,
        nobody.get("/nothing").await,
        nobody.get("/sign-out").await,
    ]
}

/// What the forms on a page say when something is wrong with them.
async fn refused(visitor: &Visitor, wrong: impl IntoIterator<Item = Form>) -> Vec<Page> {
    let mut pages = Vec::new();
    for form in wrong {
        let page = visitor.submit(&form).await;
        assert!(
            (400..500).contains(&page.status()),
            "{}: {}",
            page.path,
            page.status()
        );
        pages.push(page);
    }
    pages
}

/// All pages of a server that has just begun.
pub async fn gallery(server: &Server) -> Vec<Page> {
    let (person, visitor) = somebody(server, "ada").await;
    let open = async |path: &str| visitor.open(path).await;
    let mut pages = Vec::new();
    for empty in [
        "/kubernetes",
        "/settings/api-keys",
        "/settings/access-tokens",
        "/settings/members",
        "/settings/audit",
        "/settings/account",
    ] {
        pages.push(open(empty).await);
    }
    let namespace = person.namespace("team-ml").await;
    person.namespace("other").await;
    let namespace = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let form = open("/settings/api-keys?create=1")
        .await
        .form("Create API key");
    let form = form.fill("Name", "laptop").choose("All");
    let made = visitor.submit(&form).await.expect(200);
    let dead = person.key(json!({"inference": true})).await;
    person.revoke(&dead).await;
    let key = open("/settings/api-keys").await.link("laptop");
    let rotated = open(&format!("{key}?rotate=1")).await.form("Rotate key");
    pages.push(visitor.submit(&rotated).await.expect(200));
    pages.push(
        visitor
            .press(&made, "I have saved this key")
            .await
            .expect(200),
    );
    pages.push(made);
    let form_of_token = open("/settings/access-tokens?create=1")
        .await
        .form("Create");
    let form_of_token = form_of_token.fill("Name", "laptop");
    pages.push(visitor.submit(&form_of_token).await.expect(200));
    let token = open("/settings/access-tokens").await.link("laptop");
    let machine = person.service_user("write").await;
    machine.caller.key(json!({"inference": true})).await;
    let machine = format!("/settings/service-users/{}", machine.id);
    let form_of_machine = open(&format!("{machine}?create=1"))
        .await
        .form("Create token")
        .fill("Name", "main");
    pages.push(visitor.submit(&form_of_machine).await.expect(200));
    sign_in(&Visitor::new(&server.url), "ada").await.expect(200);
    for path in [
        "/kubernetes".to_owned(),
        "/kubernetes?create=1".to_owned(),
        namespace.clone(),
        format!("{namespace}?rename=1"),
        format!("{namespace}?delete=1"),
        "/settings/api-keys".to_owned(),
        "/settings/api-keys?create=1".to_owned(),
        "/settings/api-keys?q=nothing".to_owned(),
        "/settings/api-keys?limit=1".to_owned(),
        key.clone(),
        format!("{key}?change=1"),
        format!("{key}?rotate=1"),
        format!("{key}?revoke=1"),
        format!("/settings/api-keys/{}", dead.id()),
        "/settings/access-tokens".to_owned(),
        "/settings/access-tokens?create=1".to_owned(),
        token.clone(),
        format!("{token}?delete=1"),
        "/settings/members".to_owned(),
        "/settings/members?service-user=1".to_owned(),
        machine.clone(),
        format!("{machine}?change=1"),
        format!("{machine}?create=1"),
        format!("{machine}?delete=1"),
        "/settings/account".to_owned(),
        "/settings/audit".to_owned(),
        "/settings/audit?limit=1&action=api_key.issued".to_owned(),
        "/settings/audit?action=namespace.deleted".to_owned(),
    ] {
        pages.push(open(&path).await);
    }
    let page = async |path: &str, button: &str| open(path).await.form(button);
    let create = page("/settings/api-keys?create=1", "Create API key").await;
    let change = page(&format!("{key}?change=1"), "Change key").await;
    let password = page("/settings/account", "Change password").await;
    let wrong = [
        page("/kubernetes?create=1", "Create namespace")
            .await
            .fill("Name", "A b"),
        page(&format!("{namespace}?rename=1"), "Rename namespace")
            .await
            .fill("Name", "A b"),
        page(&format!("{namespace}?delete=1"), "Delete namespace").await,
        create.clone().fill("Name", " ").select("Ends", "A date"),
        create
            .clone()
            .fill("Name", "x")
            .choose("Kubernetes exec")
            .choose("Only these:"),
        create.clone().forge("form", "x"),
        create.and("extra", "1"),
        change.fill("Name", " "),
        page(&format!("{key}?rotate=1"), "Rotate key")
            .await
            .forge("grace", "x"),
        password
            .clone()
            .fill("Current password", "x")
            .fill("New password", "short"),
        password
            .fill("Current password", "x")
            .fill("New password", "long enough, quite"),
        page("/settings/access-tokens?create=1", "Create")
            .await
            .fill("Name", " ")
            .without("cluster")
            .forge("expiration", "x")
            .forge("namespace", "x")
            .fill("Note", &"x".repeat(257)),
        page(&format!("{machine}?create=1"), "Create token")
            .await
            .fill("Name", " ")
            .forge("expiration", "x"),
        page("/settings/members?service-user=1", "Create service user")
            .await
            .fill("Name", " "),
        // The answer to this one was dropped.
        form,
    ];
    pages.extend(refused(&visitor, wrong).await);
    for lost in [
        "/nothing",
        "/sign-out",
        "/settings/api-keys?limit=0",
        "/settings/audit?actor=x&since=y&until=z&subject=1&action=2",
        "/kubernetes/01a00000-0000-7000-8000-000000000000",
    ] {
        pages.push(visitor.get(lost).await);
    }
    let reader = server
        .colleague(&person, "reader@example.org", "read")
        .await;
    let reader = Visitor::of(&reader);
    for path in [
        "/kubernetes",
        &namespace,
        "/settings/api-keys",
        &key,
        "/settings/access-tokens",
        "/settings/audit",
    ] {
        pages.push(reader.get(path).await);
    }
    let delete = page(&format!("{namespace}?delete=1"), "Delete namespace").await;
    let delete = delete.fill("Type team-ml to confirm", "team-ml");
    pages.push(visitor.send(&delete).await);
    pages.push(open("/kubernetes").await);
    // What was typed when a session had ended.
    let lost = page("/settings/api-keys?create=1", "Create API key")
        .await
        .fill("Name", "x");
    pages.push(Visitor::new(&server.url).submit(&lost).await.expect(401));
    pages.push(make_key(&visitor, "last").await);
    pages.extend(outside(server, &person.account_id().await).await);
    for page in &pages {
        let kind = page.answer.header("content-type");
        assert_eq!(kind, Some("text/html; charset=utf-8"), "{}", page.path);
    }
    pages
}
