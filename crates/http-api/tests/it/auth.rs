//! `/v1/auth/…`

use remotegpu_accounts::{PasswordChange, PlainPassword, UserRepository};
use remotegpu_primitives::Clock;
use remotegpu_test_support::{act, rng};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    client::Answer,
    world::{World, refusal, text},
};

const PASSWORD: &str = "correct horse battery";

async fn sign_up(world: &World, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD, "account_name": "Engines"});
    world.post("/v1/auth/sign-up").json(body).send().await
}

async fn sign_in(world: &World, body: Value) -> Answer {
    world.post("/v1/auth/sign-in").json(body).send().await
}

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password, "cookie": false})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_with_a_cookie_and_out_again() {
    // A6, A7
    let world = World::new().await;
    let made = sign_up(&world, "Ada@Example.org").await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["user"]["email"], "ada@example.org");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let signed_in = sign_in(&world, body).await;
    assert_eq!(signed_in.status, 200);
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.starts_with("remotegpu_session=rgse_"), "{cookie}");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/"),
        "{cookie}"
    );
    let mut session = signed_in.json();
    assert_eq!(session.as_object().unwrap().keys().count(), 4);
    assert_eq!(session["role"], "admin");
    assert_eq!(session["expires_at"], "2026-01-01T12:00:00Z");

    let pair = cookie.split(';').next().unwrap();
    let who = || world.get("/v1/auth/session").header("cookie", pair).send();
    assert_eq!(who().await.json(), session.take());
    let out = world
        .post("/v1/auth/sign-out")
        .header("cookie", pair)
        .send()
        .await;
    assert_eq!(out.status, 204);
    let cleared = out.header("set-cookie").unwrap();
    assert!(cleared.starts_with("remotegpu_session=;"), "{cleared}");
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    assert_eq!(who().await.problem().1, "invalid_access_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    // A7
    let world = World::with(|config| {
        let port = config
            .edge
            .public_url
            .as_str()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned();
        let url = format!("https://localhost:{port}");
        config.edge.public_url = remotegpu_edge::PublicUrl::parse(&url).unwrap();
    })
    .await;
    sign_up(&world, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
    let signed_in = sign_in(&world, body).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-remotegpu_session=rgse_"),
        "{cookie}"
    );
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_signs_in_with_a_token() {
    // A6
    let world = World::new().await;
    sign_up(&world, "ada@example.org").await;
    let signed_in = sign_in(&world, credentials("ada@example.org", PASSWORD)).await;
    assert_eq!(signed_in.header("set-cookie"), None);
    let token = text(&signed_in, "access_token");
    let who = world.get("/v1/auth/session").bearer(&token).send().await;
    assert_eq!(who.json()["user"], signed_in.json()["user"]);
    world.clock.advance(Duration::hours(12));
    let idle = world.get("/v1/auth/session").bearer(&token).send().await;
    assert_eq!(idle.problem().1, "invalid_access_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_answers_like_an_unknown_email_until_it_is_throttled() {
    // A8
    let world = World::new().await;
    sign_up(&world, "ada@example.org").await;
    let wrong = sign_in(&world, credentials("ada@example.org", "wrong")).await;
    let unknown = sign_in(&world, credentials("bob@example.org", "wrong")).await;
    let nonsense = sign_in(&world, credentials("nonsense", "wrong")).await;
    let wanted = refusal(401, "wrong_credentials", "Wrong e-mail or password");
    assert_eq!(wrong.problem(), wanted);
    assert_eq!(wrong.comparable(), unknown.comparable());
    assert_eq!(wrong.comparable(), nonsense.comparable());
    for _ in 0..9 {
        sign_in(&world, credentials("ada@example.org", "wrong")).await;
    }
    let throttled = sign_in(&world, credentials("ada@example.org", PASSWORD)).await;
    assert_eq!(throttled.problem().1, "too_many_attempts");
    let seconds: u64 = throttled.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_client_that_is_throttled() {
    // A8, C8
    let world = World::with(|config| {
        config.edge.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    sign_up(&world, "ada@example.org").await;
    let from = async |address: &str, password: &str| {
        let body = credentials("ada@example.org", password);
        let request = world
            .post("/v1/auth/sign-in")
            .header("x-forwarded-for", address);
        request.json(body).send().await.status
    };
    for _ in 0..10 {
        assert_eq!(from("192.0.2.1", "wrong").await, 401);
    }
    assert_eq!(from("192.0.2.1", PASSWORD).await, 429);
    assert_eq!(from("192.0.2.2", PASSWORD).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_up_names_all_that_is_wrong() {
    // A10, C2
    let world = World::new().await;
    let body = json!({"email": "x", "password": "short", "account_name": " "});
    let answer = world.post("/v1/auth/sign-up").json(body).send().await;
    assert_eq!(answer.problem().1, "invalid_field");
    let fields: Vec<Value> = answer.json()["errors"].as_array().unwrap().clone();
    let fields: Vec<&str> = fields.iter().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!(fields, ["email", "password", "account_name"]);
    sign_up(&world, "ada@example.org").await;
    assert_eq!(
        sign_up(&world, "ada@example.org").await.problem().1,
        "email_taken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_password_opens_the_route_that_changes_it() {
    // A10
    let world = World::new().await;
    sign_up(&world, "ada@example.org").await;
    let email = remotegpu_accounts::Email::parse("ada@example.org").unwrap();
    let database = &world.store.database;
    let ada = database.find_by_email(&email).await.unwrap().unwrap();
    let hash = PlainPassword::parse(PASSWORD)
        .unwrap()
        .hash(&mut rng())
        .unwrap();
    let end = time::macros::datetime!(2026-01-02 00:00 UTC);
    let needed = PasswordChange::NeededUntil(end);
    database
        .set_password(ada.id, None, &hash, needed, None, &act(world.clock.now()))
        .await
        .unwrap();

    let signed_in = sign_in(&world, credentials("ada@example.org", PASSWORD)).await;
    let token = text(&signed_in, "access_token");
    for (method, path) in [
        ("GET", "/v1/auth/session"),
        ("POST", "/v1/auth/sign-out"),
        ("GET", "/v1/account/api-keys"),
        ("POST", "/v1/kubernetes/namespaces"),
    ] {
        let answer = world.request(method, path).bearer(&token).send().await;
        assert_eq!(answer.problem().1, "password_change_required", "{path}");
    }
    let change = async |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        world
            .request("PUT", "/v1/auth/password")
            .bearer(&token)
            .json(body)
            .send()
            .await
    };
    let short = change(PASSWORD, "short").await;
    assert_eq!(short.problem().2, "new must have 12 to 128 characters");
    assert_eq!(
        change("wrong", "a new password").await.problem().1,
        "wrong_credentials"
    );
    assert_eq!(
        change(PASSWORD, PASSWORD).await.problem().1,
        "invalid_field"
    );
    assert_eq!(change(PASSWORD, "a new password").await.status, 204);
    let who = world.get("/v1/auth/session").bearer(&token).send().await;
    assert_eq!(who.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_acts_for_accounts_of_its_user_only() {
    // A11, C6
    let world = World::new().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    let account = async |token: &str| {
        let who = world.get("/v1/auth/session").bearer(token).send().await;
        who.json()["account"]["id"].as_str().unwrap().to_owned()
    };
    let switch = async |id: &str| {
        let body = json!({"account_id": id});
        world
            .post("/v1/auth/session/account")
            .bearer(&ada)
            .json(body)
            .send()
            .await
    };
    let own = switch(&account(&ada).await).await;
    assert_eq!(own.status, 200);
    assert_eq!(own.json()["account"]["name"], "ada");
    let foreign = switch(&account(&bob).await).await;
    let unknown = switch("0198c0de-0000-7000-8000-000000000001").await;
    let malformed = switch("x").await;
    assert_eq!(foreign.problem().1, "not_found");
    assert_eq!(foreign.comparable(), unknown.comparable());
    assert_eq!(foreign.comparable(), malformed.comparable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_tells_about_itself() {
    // A12
    let world = World::new().await;
    let ada = world.person("ada").await;
    let made = world.key(&ada, json!({"inference": true})).await;
    let key = text(&made, "key");
    let told = world.get("/v1/auth/key").key(&key).send().await.json();
    let made = made.json();
    for member in ["id", "name", "prefix", "scopes", "expires_at"] {
        assert_eq!(told[member], made[member], "{member}");
    }
    assert_eq!(told.as_object().unwrap().len(), 5);
}
