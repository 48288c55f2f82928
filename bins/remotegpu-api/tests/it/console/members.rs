//! Who is in the account, and how one gets in.

use reqwest::Method;
use serde_json::json;

use super::visitor::{Visitor, sign_in, somebody};
use crate::support::{Backend, Person, Server};

const PAGE: &str = "/settings/members";
const PASSWORD: &str = "a password of one's own";

/// Asks somebody, and answers the path of the link.
async fn invite(visitor: &Visitor, email: &str, role: &str) -> String {
    let page = visitor.open("/settings/members?invite=1").await;
    let form = page
        .form("Create invitation")
        .fill("E-mail", email)
        .choose(role);
    let made = visitor.submit(&form).await.expect(200);
    assert_eq!(made.heading(), "Invitation created");
    let link = made.secret();
    let path = link.strip_prefix(&visitor.url).unwrap().to_owned();
    assert!(path.starts_with("/invitations/rgin_"), "{path}");
    // H3: the form again answers the same, and makes one thing.
    assert_eq!(visitor.submit(&form).await.expect(200).secret(), link);
    path
}

async fn own_page(person: &Person) -> String {
    let session = person.get("/v1/auth/session").await.expect(200);
    format!("{PAGE}/{}", session["user"]["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_is_invited_accepts_is_demoted_and_removed() {
    // T7, T10, K15, H2, H3, H5
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let path = invite(&visitor, "bob@example.org", "Write").await;
    let page = visitor.open(PAGE).await;
    assert_eq!(page.heading(), "Settings / Members");
    page.says("bob@example.org");
    let token = path.rsplit('/').next().unwrap();
    assert!(!page.answer.text.contains(token));

    // Looked at as often as one likes, by whatever opens links.
    let bob = Visitor::new(&server.url);
    for _ in 0..2 {
        let page = bob.open(&path).await;
        assert_eq!(page.heading(), "You are invited");
        page.says("bob@example.org").says("write");
        assert_eq!(page.answer.header("referrer-policy"), Some("same-origin"));
    }
    let head = bob.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), 200);
    // A9: not by another site's form.
    let page = bob.open(&path).await;
    let form = page.form("Join ada").fill("Password", PASSWORD);
    let foreign = bob.posted(&form).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let short = bob
        .submit(&page.form("Join ada").fill("Password", "short"))
        .await;
    assert_eq!(
        short.expect(400).error_at("Password"),
        "Password must have 12 to 128 characters"
    );
    let done = bob.submit(&form).await;
    assert_eq!(done.leads_to(), "/kubernetes");
    let page = bob.follow(done).await.expect(200);
    assert_eq!(
        page.told(),
        ["Welcome. You are a member of this account now."]
    );
    let spent = Visitor::new(&server.url).get(&path).await.expect(404);
    spent.says("This invitation was accepted, taken back, or has expired");
    assert!(!server.log().contains(token), "the secret is in the log");

    // What ends is named before, and ends.
    let bob_api = Person::sign_in(&server.url, "bob@example.org", PASSWORD).await;
    let key = bob_api.key(json!({"all": true})).await;
    let his = own_page(&bob_api).await;
    let page = visitor.open(&format!("{his}?change=1")).await;
    page.says("With the role read these end")
        .says("API key test");
    let done = visitor
        .submit(&page.form("Change role").choose("Read"))
        .await;
    assert_eq!(done.leads_to(), his);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(page.fact("Role"), "read");
    key.get("/v1/auth/key")
        .await
        .problem(401, "invalid_api_key");
    // H2: what his role may not open is not offered, and refused.
    let page = bob.open(PAGE).await;
    assert!(!page.has_button("Invite somebody"));
    assert!(
        !bob.open(&own_page(&ada).await)
            .await
            .has_button("Remove member")
    );

    // Taken over, a key goes on.
    let page = visitor.open(&format!("{his}?change=1")).await;
    visitor
        .submit(&page.form("Change role").choose("Write"))
        .await;
    let key = bob_api.key(json!({"all": true})).await;
    let page = visitor.open(&format!("{his}?remove=1")).await;
    page.says("API key test");
    let form = page.form("Remove member");
    let label = "Take over the API keys: they go on working, and you answer for them";
    let done = visitor.submit(&form.choose(label)).await;
    assert_eq!(done.leads_to(), PAGE);
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(page.rows().len(), 1);
    key.get("/v1/auth/key").await.expect(200);
    assert!(
        bob.get("/kubernetes")
            .await
            .leads_to()
            .starts_with("/sign-in")
    );
    visitor.get(&his).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_user_signs_in_first_and_nobody_else_accepts() {
    // T10, A11
    let server = Server::start(Backend::Sqlite).await;
    let (_, ada) = somebody(&server, "ada").await;
    let (_, eve) = somebody(&server, "eve").await;
    let bob = server.person("bob").await;
    let path = invite(&ada, "bob@example.org", "Admin").await;

    let wrong = eve.get(&path).await.expect(403);
    wrong.says("The invitation is for somebody else");
    assert!(!wrong.has_button("Join ada"));
    let forged = eve.request(Method::POST, &path).header("origin", &eve.url);
    let forged = eve.read(&path, forged.form(&[("password", "")])).await;
    forged
        .expect(403)
        .says("The invitation is for somebody else");

    let browser = Visitor::new(&server.url);
    let page = browser.open(&path).await;
    assert!(!page.has_field("Password"), "his is not changed");
    let to = page.link("Sign in");
    let page = browser.open(&to).await;
    let form = page.form("Sign in").fill("E-mail", "bob@example.org");
    let page = browser
        .send(&form.fill("Password", "password of bob"))
        .await;
    assert_eq!(page.heading(), "You are invited");
    let page = browser.press(&page, "Join ada").await.expect(200);
    assert_eq!(page.texts("nav .account"), ["ada"]);

    // Now he has two, and goes from one to the other.
    let form = page.form("Switch").select("Account", "bob");
    let done = browser.submit(&form).await;
    assert_eq!(done.leads_to(), "/kubernetes");
    let page = browser.follow(done).await.expect(200);
    assert_eq!(page.texts("nav .account"), ["bob"]);
    // Sent twice, it is the same.
    assert_eq!(browser.submit(&form).await.leads_to(), "/kubernetes");
    let again = Visitor::new(&server.url);
    sign_in(&again, "bob").await.expect(200);
    assert_eq!(
        again.open("/kubernetes").await.texts("nav .account"),
        ["bob"]
    );
    let forged = form.forge("form", "x");
    browser.submit(&forged).await.expect(403);
    assert_eq!(
        bob.get("/v1/auth/session").await.expect(200)["accounts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays_and_everybody_else_may_leave() {
    // T7, K15
    let server = Server::start(Backend::Sqlite).await;
    let (ada, visitor) = somebody(&server, "ada").await;
    let own = own_page(&ada).await;
    let sentence = "The account's last admin cannot leave, be removed or be demoted";
    let page = visitor.open(&format!("{own}?leave=1")).await;
    visitor
        .submit(&page.form("Leave account"))
        .await
        .refuses(409, sentence);
    let page = visitor.open(&format!("{own}?change=1")).await;
    let form = page.form("Change role").choose("Read");
    visitor.submit(&form).await.refuses(409, sentence);

    let bob = server.colleague(&ada, "bob@example.org", "write").await;
    bob.key(json!({"all": true})).await;
    let browser = Visitor::of(&bob);
    let own = own_page(&bob).await;
    let page = browser.open(&format!("{own}?leave=1")).await;
    page.says("API key test").says("You are out of ada at once");
    let done = browser.submit(&page.form("Leave account")).await;
    assert_eq!(done.leads_to(), "/sign-in");
    let page = browser.follow(done).await.expect(200);
    assert_eq!(page.told(), ["You have left the account."]);
    // Nobody leaves for somebody else.
    assert!(
        !visitor
            .open(&own_page(&ada).await)
            .await
            .has_button("Remove member")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_refused_at_its_field_and_taken_back() {
    // T7, H3
    let server = Server::start(Backend::Sqlite).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let open = async || visitor.open("/settings/members?invite=1").await;
    for (email, status, said) in [
        (
            "ada@example.org",
            409,
            "This address is a member's, or is invited already",
        ),
        (
            "nobody",
            400,
            "E-mail must be an address such as ada@example.org",
        ),
    ] {
        let form = open().await.form("Create invitation").fill("E-mail", email);
        let page = visitor.submit(&form).await.expect(status);
        assert!(
            page.error_at("E-mail").starts_with(said),
            "{}",
            page.error_at("E-mail")
        );
        assert_eq!(page.value("E-mail"), email);
    }
    let path = invite(&visitor, "bob@example.org", "Read").await;
    let page = visitor.open(PAGE).await;
    let page = visitor.press(&page, "Delete invitation").await.expect(200);
    assert_eq!(
        page.told(),
        ["The invitation was deleted. Its link opens nothing any more."]
    );
    page.says_not("bob@example.org");
    Visitor::new(&server.url).get(&path).await.expect(404);
}
