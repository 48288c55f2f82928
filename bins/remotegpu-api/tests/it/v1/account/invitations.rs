//! `/v1/account/invitations`, `POST /v1/auth/invitations/accept`

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Backend, Person, Server, ServerOptions, client};

const PATH: &str = "/v1/account/invitations";
const ACCEPT: &str = "/v1/auth/invitations/accept";
const PASSWORD: &str = "a password of one's own";

async fn invite(admin: &Person, email: &str, role: &str) -> (Value, String) {
    let body = json!({"email": email, "role": role});
    let made = admin.post(PATH, body).await.expect(201);
    let link = made["link"].as_str().unwrap();
    let token = link.strip_prefix(&format!("{}/invitations/", admin.url));
    let token = token.unwrap_or_else(|| panic!("{link}")).to_owned();
    (made, token)
}

/// Accepts without a session.
async fn accept(server: &Server, body: Value) -> Answer {
    let request = client().post(format!("{}{ACCEPT}", server.url)).json(&body);
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_shown_to_admins_and_its_link_once() {
    // T7, T8
    let server = Server::start(Backend::Sqlite).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let (made, token) = invite(&ada, " Bob@Example.org ", "write").await;
    insta::assert_json_snapshot!("invitation", made, {
        ".id" => "[id]",
        ".created_by" => "[id]",
        ".created_at" => "[time]",
        ".expires_at" => "[time]",
        ".link" => "[link]",
    });
    let mut item = made.clone();
    item.as_object_mut().unwrap().remove("link");
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200), item);
    let listed = ada.get(PATH).await;
    assert_eq!(listed.expect(200)["items"], json!([item]));
    assert!(!listed.text.contains(&token));
    let writer = server.colleague(&ada, "writer@example.org", "write").await;
    for (method, path) in [
        (Method::GET, PATH),
        (Method::POST, PATH),
        (Method::GET, path.as_str()),
        (Method::DELETE, path.as_str()),
    ] {
        let refused = writer.send(method, path, json!({"nonsense": 1})).await;
        refused.problem(403, "role_too_small");
    }
    eve.get(&path).await.problem(404, "not_found");
    eve.delete(&path).await.problem(404, "not_found");

    for (body, sentence) in [
        (json!({}), "email is required"),
        (
            json!({"email": "bob", "role": "read"}),
            "email must be an address such as ada@example.org, at most 254 characters",
        ),
        (
            json!({"email": "a@b", "role": "owner"}),
            "role must be read, write or admin",
        ),
    ] {
        let refused = ada.post(PATH, body).await;
        assert_eq!(refused.problem(400, "invalid_field"), sentence);
    }
    for known in ["bob@example.org", "ADA@example.org", "writer@example.org"] {
        let again = ada
            .post(PATH, json!({"email": known, "role": "read"}))
            .await;
        let sentence = "This address is a member's, or is invited already";
        assert_eq!(again.problem(409, "already_invited"), sentence);
    }
    // What is taken back lets nobody in.
    let deleted = ada.delete(&path).await;
    assert_eq!(deleted.expect(204), Value::Null);
    ada.delete(&path).await.problem(404, "not_found");
    let body = json!({"token": token, "password": PASSWORD});
    accept(&server, body).await.problem(404, "not_found");
    let events = ada
        .get("/v1/account/audit-events?action=invitation.created")
        .await;
    let events = events.expect(200);
    assert_eq!(events["items"][0]["subject"]["type"], "invitation");
    assert_eq!(
        events["items"][0]["details"],
        json!({"name": "bob@example.org", "role": "write"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_open_invitations() {
    // T10
    let options = ServerOptions::new(Backend::Sqlite).with("invitation-limit", "2");
    let server = Server::start_with(options).await;
    let ada = server.person("ada").await;
    let account = ada.get("/v1/account").await.expect(200);
    let limits = json!({
        "api_keys": 20, "namespaces": 10, "invitations": 2, "access_tokens": 20,
        "kubeconfig_tokens": 100,
    });
    assert_eq!(account["limits"], limits);
    assert_eq!(account["name"], "ada");
    assert_eq!(account["id"], ada.account_id().await.as_str());
    for name in ["a@b", "c@d"] {
        invite(&ada, name, "read").await;
    }
    let refused = ada
        .post(PATH, json!({"email": "e@f", "role": "read"}))
        .await;
    let sentence = "The account's limit of open invitations is reached";
    assert_eq!(refused.problem(409, "limit_reached"), sentence);
}

async fn somebody_new_accepts_with_a_password(backend: Backend) {
    // T7, T10, A8
    let server = Server::start(backend).await;
    let ada = server.person("ada").await;
    let (_, token) = invite(&ada, "bob@example.org", "write").await;
    // Nobody takes the address over.
    let body = json!({"email": "bob@example.org", "password": PASSWORD, "account_name": "x"});
    let request = client()
        .post(format!("{}/v1/auth/sign-up", server.url))
        .json(&body);
    let answer = Answer::read(request.send().await.unwrap()).await;
    answer.problem(409, "email_taken");
    // What opens links by itself spends nothing.
    for method in [Method::GET, Method::HEAD] {
        let url = format!("{}/invitations/{token}", server.url);
        for _ in 0..3 {
            let bot = client()
                .request(method.clone(), &url)
                .header("user-agent", "bot/1.0");
            assert!(bot.send().await.unwrap().status().as_u16() < 500);
        }
    }
    for (body, sentence) in [
        (json!({"token": token}), "password is required"),
        (
            json!({"token": token, "password": "short"}),
            "password must have 12 to 128 characters",
        ),
    ] {
        let refused = accept(&server, body).await;
        assert_eq!(refused.problem(400, "invalid_field"), sentence);
    }
    let body = json!({"token": token, "password": PASSWORD});
    // A9: not by a page of another site.
    let foreign = client().post(format!("{}{ACCEPT}", server.url)).json(&body);
    let foreign = foreign
        .header("origin", "https://evil.example")
        .send()
        .await;
    Answer::read(foreign.unwrap()).await.problem(403, "csrf");

    let all = join_all((0..8).map(|_| accept(&server, body.clone()))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(accepted.len(), 1);
    for answer in refused {
        // One who comes a moment later finds a user, or nothing, or a full line.
        assert!(
            [401, 404, 503].contains(&answer.status.as_u16()),
            "{answer:?}"
        );
    }
    let told = accepted[0].expect(200);
    assert_eq!(told["account"]["id"], ada.account_id().await.as_str());
    assert_eq!(told["role"], "write");
    assert_eq!(accepted[0].header("set-cookie"), None);
    let bob = Person::sign_in(&server.url, "bob@example.org", PASSWORD).await;
    let session = bob.get("/v1/auth/session").await.expect(200);
    let own = json!([{"id": told["account"]["id"], "name": "ada", "role": "write"}]);
    assert_eq!(session["accounts"], own);
    accept(&server, body).await.problem(404, "not_found");
    assert_eq!(ada.get(PATH).await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_accepts_with_a_password_on_sqlite() {
    somebody_new_accepts_with_a_password(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_accepts_with_a_password_on_postgresql() {
    somebody_new_accepts_with_a_password(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_user_accepts_signed_in_as_the_address() {
    // T7, T10, A11
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let eve = server.person("eve").await;
    let (_, token) = invite(&ada, "bob@example.org", "read").await;
    // Not without a session, whatever password is given: none is set or changed.
    for body in [
        json!({"token": token}),
        json!({"token": token, "password": PASSWORD}),
        json!({"token": token, "password": "password of bob"}),
    ] {
        let refused = accept(&server, body).await;
        assert_eq!(
            refused.problem(401, "missing_access_token"),
            "Missing access token"
        );
    }
    let refused = eve.post(ACCEPT, json!({"token": token})).await;
    assert_eq!(
        refused.problem(403, "wrong_person"),
        "The invitation is for somebody else"
    );
    ada.post(ACCEPT, json!({"token": token}))
        .await
        .problem(403, "wrong_person");
    for wrong in [
        "",
        "nonsense",
        "rgin_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let refused = bob.post(ACCEPT, json!({"token": wrong})).await;
        refused.problem(404, "not_found");
    }
    let told = bob.post(ACCEPT, json!({"token": token})).await.expect(200);
    assert_eq!(told["role"], "read");
    let own = bob.account_id().await;
    let theirs = ada.account_id().await;
    assert_eq!(told["account"]["id"], theirs.as_str());
    Person::sign_in(&server.url, "bob@example.org", "password of bob").await;
    bob.post(ACCEPT, json!({"token": token}))
        .await
        .problem(404, "not_found");

    // Now he has two, and comes back to the one that he last acted for.
    let session = bob.get("/v1/auth/session").await.expect(200);
    let ids: Vec<&str> = session["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [own.as_str(), theirs.as_str()]);
    assert_eq!(session["account"]["id"], own.as_str());
    for account in [&theirs, &own, &theirs] {
        let body = json!({"account_id": account});
        bob.post("/v1/auth/session/account", body).await.expect(200);
        let again = Person::sign_in(&server.url, "bob@example.org", "password of bob").await;
        assert_eq!(again.account_id().await, *account);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_a_member_of_nothing_cannot_sign_in_until_they_are_invited() {
    // A11, T7, T10
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let bob = server.colleague(&ada, "bob@example.org", "write").await;
    let session = bob.get("/v1/auth/session").await.expect(200);
    let path = format!(
        "/v1/account/members/{}",
        session["user"]["id"].as_str().unwrap()
    );
    ada.delete(&path).await.expect(200);
    let password = "password of bob@example.org";
    let sign_in = async || {
        let body = json!({"email": "bob@example.org", "password": password, "cookie": false});
        let request = client()
            .post(format!("{}/v1/auth/sign-in", server.url))
            .json(&body);
        Answer::read(request.send().await.unwrap()).await
    };
    assert_eq!(
        sign_in().await.problem(403, "no_account"),
        "You are a member of no account"
    );
    let (_, token) = invite(&ada, "bob@example.org", "read").await;
    let with = async |password: Option<&str>| {
        let mut body = json!({"token": token});
        if let Some(password) = password {
            body["password"] = password.into();
        }
        accept(&server, body).await
    };
    with(None).await.problem(401, "missing_access_token");
    with(Some(PASSWORD)).await.problem(401, "wrong_credentials");
    let told = with(Some(password)).await.expect(200);
    assert_eq!(told["role"], "read");
    assert_eq!(sign_in().await.expect(200)["role"], "read");
}
