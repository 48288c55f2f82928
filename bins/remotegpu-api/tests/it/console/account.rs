//! One's password, and where one is signed in.

use serde_json::json;

use super::visitor::{SESSION, Visitor, sign_in, somebody};
use crate::support::{Backend, Server};

const PAGE: &str = "/settings/account";

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed() {
    // H3, A8
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let other = Visitor::new(&server.url);
    sign_in(&other, "ada").await.expect(200);
    let page = visitor.open(PAGE).await;
    assert_eq!(page.heading(), "Settings / Account");
    assert_eq!(page.fact("E-mail"), "ada@example.org");
    assert_eq!(page.fact("Role"), "admin");
    for (label, kind) in [
        ("Current password", "current-password"),
        ("New password", "new-password"),
    ] {
        assert_eq!(page.labelled(label).attr("autocomplete"), Some(kind));
        assert_eq!(page.labelled(label).attr("type"), Some("password"));
    }
    let fill = |old: &str, new: &str| {
        let form = page.form("Change password");
        form.fill("Current password", old).fill("New password", new)
    };
    let (old, new) = ("password of ada", "another password of ada");
    for (form, status, label) in [
        (fill(old, "short"), 400, "New password"),
        (fill(old, &"x".repeat(129)), 400, "New password"),
    ] {
        let page = visitor.submit(&form).await.expect(status);
        assert!(!page.error_at(label).is_empty());
        assert!(!page.answer.text.contains(old) && !page.answer.text.contains("xxxx"));
    }
    let wrong = visitor.submit(&fill("not the one, not it", new)).await;
    assert!((400..500).contains(&wrong.status()));
    wrong.says("This is not your current password");
    assert!(!wrong.answer.text.contains("not the one") && !wrong.answer.text.contains(new));
    let done = visitor.submit(&fill(old, new)).await;
    assert_eq!(done.leads_to(), PAGE);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(
        page.told(),
        ["The password was changed. Your other sessions have ended."]
    );
    assert!(other.get(PAGE).await.leads_to().starts_with("/sign-in"));
    let again = sign_in(&Visitor::new(&server.url), "ada").await;
    again.refuses(401, "Wrong e-mail or password");
    assert_eq!(page.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_shown_and_ended() {
    // H3, H7
    let server = Server::start(Backend::Sqlite).await;
    server.person("ada").await;
    let firefox = Visitor::new(&server.url);
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                  Chrome/140.0.0.0 Safari/537.36";
    let chrome = Visitor::new(&server.url).with_agent(chrome.as_bytes());
    let odd = Visitor::new(&server.url).with_agent(b"my-script/1.0");
    for visitor in [&firefox, &chrome, &odd] {
        sign_in(visitor, "ada").await.expect(200);
    }
    let page = firefox.open(PAGE).await;
    let rows = page.rows();
    // The person's own, which made the account, is the fourth.
    assert_eq!(rows.len(), 4, "{rows:?}");
    let here: Vec<_> = rows
        .iter()
        .filter(|row| row["Browser"].contains("this one"))
        .collect();
    assert_eq!(here.len(), 1);
    assert_eq!(here[0]["Browser"], "Firefox on Linux this one");
    let row = |name: &str| rows.iter().position(|row| row["Browser"] == name).unwrap();
    assert_eq!(rows[row("Chrome on Windows")]["Address"], "127.0.0.1");
    row("my-script/1.0");
    for row in &rows {
        assert!(
            row["Last use"].ends_with("ago") || row["Last use"] == "just now",
            "{row:?}"
        );
    }
    // One.
    let forms = page.forms("End session");
    assert_eq!(forms.len(), 3, "not the one that is looked at");
    let at = rows
        .iter()
        .filter(|row| !row["Browser"].contains("this one"));
    let at = at
        .clone()
        .position(|row| row["Browser"] == "Chrome on Windows")
        .unwrap();
    let done = firefox.submit(&forms[at]).await;
    assert_eq!(done.leads_to(), PAGE);
    let page = firefox.follow(done).await.expect(200);
    assert_eq!(page.told(), ["The session was ended."]);
    assert_eq!(page.rows().len(), 3);
    assert!(chrome.get(PAGE).await.leads_to().starts_with("/sign-in"));
    odd.open(PAGE).await;
    // Ended from elsewhere meanwhile: what was wanted has happened.
    let form = page.forms("End session").remove(0);
    let all = page.form("End all other sessions");
    let done = firefox.submit(&all).await;
    let page = firefox.follow(done).await.expect(200);
    assert_eq!(page.told(), ["All other sessions were ended."]);
    assert_eq!(page.rows().len(), 1);
    assert!(!page.has_button("End all other sessions"));
    assert!(odd.get(PAGE).await.leads_to().starts_with("/sign-in"));
    firefox.send(&form).await.expect(200);
    firefox.open(PAGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_another_person_s_sessions() {
    // C6, H3
    let server = Server::start(Backend::Sqlite).await;
    let (_, ada) = somebody(&server, "ada").await;
    let (_, bob) = somebody(&server, "bob").await;
    sign_in(&Visitor::new(&server.url), "bob").await.expect(200);
    sign_in(&Visitor::new(&server.url), "ada").await.expect(200);
    let his = bob.open(PAGE).await.form("End session");
    let hers = ada.open(PAGE).await.form("End session");
    let mut forged = hers.clone();
    forged.action.clone_from(&his.action);
    for form in [&his, &forged] {
        ada.submit(form).await.expect(403);
    }
    assert_eq!(bob.open(PAGE).await.rows().len(), 2);
    // What she ends is hers alone.
    ada.press(&ada.open(PAGE).await, "End all other sessions")
        .await
        .expect(200);
    assert_eq!(bob.open(PAGE).await.rows().len(), 2);
    assert_eq!(ada.open(PAGE).await.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_named_by_nothing_that_opens_it() {
    // A6, H5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let second = Visitor::new(&server.url);
    sign_in(&second, "ada").await.expect(200);
    let page = visitor.open(PAGE).await;
    for who in [&visitor, &second] {
        let token = who.cookie(SESSION).unwrap();
        assert!(!page.answer.text.contains(&token));
    }
    let id = page.form("End session").action;
    let id = id.split('/').nth(3).unwrap();
    visitor.set_cookie(SESSION, id);
    assert!(visitor.get(PAGE).await.leads_to().starts_with("/sign-in"));
    person
        .post(
            "/v1/account/api-keys",
            json!({"name": "x", "scopes": {"all": true}}),
        )
        .await
        .expect(201);
}
