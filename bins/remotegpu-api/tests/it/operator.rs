//! The operator: the first password, and what they do beside a running server.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    ADMIN_PASSWORD, Answer, Backend, Person, Pods, Server, ServerOptions, client, eventually,
};

/// How soon what the operator did must hold: the contract says a second, and
/// the rest is for a machine that is busy.
const SOON: Duration = Duration::from_secs(3);

async fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let request = client()
        .post(format!("{}/v1/auth/sign-in", server.url))
        .json(&body);
    Answer::read(request.send().await.unwrap()).await
}

/// The one-time password that the first start printed.
fn printed_password(server: &Server) -> String {
    let log = server.log();
    let fits = |line: &&str| {
        let groups: Vec<&str> = line.trim().split('-').collect();
        let group = |group: &&str| {
            group.len() == 6 && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        groups.len() == 4 && groups.iter().all(group)
    };
    let mut found = log.lines().filter(fits);
    let password = found
        .next()
        .unwrap_or_else(|| panic!("no password in {log}"));
    assert_eq!(found.next(), None, "it is printed once: {log}");
    password.trim().to_owned()
}

async fn the_first_password_is_for_once(backend: Backend) {
    // A10
    let mut options = ServerOptions::new(backend).with("initial-admin-email", "root@example.org");
    options.given_password = false;
    let mut server = Server::start_with(options).await;
    let password = printed_password(&server);
    assert!(
        server.log().contains("root@example.org"),
        "{}",
        server.log()
    );
    let once = Person::sign_in(&server.url, "root@example.org", &password).await;
    let sentence = "The password must be changed first";
    for path in [
        "/v1/auth/session",
        "/v1/account/api-keys",
        "/v1/kubernetes/namespaces",
        "/v1/kubernetes/clusters",
    ] {
        let answer = once.get(path).await;
        assert_eq!(
            answer.problem(403, "password_change_required"),
            sentence,
            "{path}"
        );
    }
    for path in ["/v1/account/api-keys", "/v1/auth/sign-out"] {
        let refused = once.post(path, json!({"nonsense": 1})).await;
        assert_eq!(refused.problem(403, "password_change_required"), sentence);
    }
    let other = Person::sign_in(&server.url, "root@example.org", &password).await;

    // It is printed by whoever made the account, and never again.
    server.restart().await;
    assert_eq!(printed_password(&server), password);
    if backend == Backend::Postgres {
        let second = server.second_instance().await;
        assert!(!second.log().contains("one-time"), "{}", second.log());
    }

    let new = "a password of one's own";
    let wrong = once
        .put("/v1/auth/password", json!({"current": new, "new": new}))
        .await;
    wrong.problem(401, "wrong_credentials");
    let body = json!({"current": password, "new": "short"});
    let short = once.put("/v1/auth/password", body).await;
    let sentence = "new must have 12 to 128 characters";
    assert_eq!(short.problem(400, "invalid_field"), sentence);
    let body = json!({"current": password, "new": new});
    once.put("/v1/auth/password", body).await.expect(204);
    once.get("/v1/account/api-keys").await.expect(200);
    other
        .get("/v1/auth/session")
        .await
        .problem(401, "invalid_access_token");
    sign_in(&server, "root@example.org", &password)
        .await
        .problem(401, "wrong_credentials");
    sign_in(&server, "root@example.org", new).await.expect(200);
    // A11: whoever installs it administrates their account.
    let session = once.get("/v1/auth/session").await.expect(200);
    assert_eq!(session["role"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_is_for_once_on_sqlite() {
    the_first_password_is_for_once(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_is_for_once_on_postgresql() {
    the_first_password_is_for_once(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_editors_put_around_a_given_password_is_no_part_of_it() {
    // A10
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    for (before, after) in [("\u{feff}", ""), ("", "\r\n"), ("\u{feff}", "\n")] {
        std::fs::write(&file, format!("{before}{ADMIN_PASSWORD}{after}")).unwrap();
        let path = file.display().to_string();
        let options = ServerOptions::new(Backend::Sqlite).with("initial-admin-password-file", path);
        let server = Server::start_with(ServerOptions {
            given_password: false,
            ..options
        })
        .await;
        server.operator().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_first_password_need_not_be_changed() {
    // A10
    let mut server = Server::start(Backend::Sqlite).await;
    assert!(!server.log().contains("one-time"), "{}", server.log());
    assert!(!server.log().contains(ADMIN_PASSWORD), "{}", server.log());
    server
        .operator()
        .await
        .get("/v1/account/api-keys")
        .await
        .expect(200);
    // It is for the first start alone: it resets nobody's password later.
    let file = server.path("admin-password");
    std::fs::write(file, "another password, too late").unwrap();
    server.restart().await;
    server.operator().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_first_password_may_go_after_the_first_start() {
    // A10
    let mut server = Server::start(Backend::Sqlite).await;
    let file = server.path("admin-password");
    for later in [Some("short"), None] {
        match later {
            // Not even what could be no password is looked at.
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        server.restart().await;
        server.operator().await;
    }
}

async fn suspending_ends_an_account_at_once(backend: Backend) {
    // A13, A4, X9
    let server = Server::start(backend).await;
    let (person, bystander) = (server.operator().await, server.person("bystander").await);
    let account = person.account_id().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let revoked = person.key(json!({"all": true})).await;
    person.revoke(&revoked).await;
    let token = key.token(&namespace).await;
    let kubeconfig = person.kubeconfig(&namespace, "shell").await;
    let pods = Pods::of(&kubeconfig, &namespace);
    assert!(pods.open(&token).await);

    let told = server.admin(&["account", "suspend", &account]);
    assert!(
        told.contains("suspended") && told.contains(&account),
        "{told}"
    );
    // One second, for what the server may remember; each of these then holds.
    eventually("the session ends", SOON, async || {
        !person.get("/v1/auth/session").await.status.is_success()
    })
    .await;
    eventually("the key opens nothing", SOON, async || {
        !key.get("/v1/auth/key").await.status.is_success()
    })
    .await;
    let gone = person.get("/v1/auth/session").await;
    assert_eq!(
        gone.problem(401, "invalid_access_token"),
        "Invalid access token"
    );
    let unknown = revoked.get("/v1/auth/key").await.without_request_id();
    assert_eq!(key.get("/v1/auth/key").await.without_request_id(), unknown);
    let refused = key.mint(&namespace).await.without_request_id();
    assert_eq!(refused, revoked.mint(&namespace).await.without_request_id());
    let answer = sign_in(&server, "admin@localhost", ADMIN_PASSWORD).await;
    assert_eq!(
        answer.problem(403, "account_suspended"),
        "The account is suspended"
    );
    // Only who knows the password is told.
    let answer = sign_in(&server, "admin@localhost", "not the password").await;
    answer.problem(401, "wrong_credentials");
    eventually("the cluster refuses the token", SOON, async || {
        !pods.open(&token).await
    })
    .await;
    bystander.get("/v1/auth/session").await.expect(200);
    server.admin(&["account", "suspend", &account]);

    let told = server.admin(&["account", "resume", &account]);
    assert!(told.contains("active") && told.contains(&account), "{told}");
    eventually("the key opens again", SOON, async || {
        key.get("/v1/auth/key").await.status.is_success()
    })
    .await;
    // What was ended stays ended.
    person
        .get("/v1/auth/session")
        .await
        .problem(401, "invalid_access_token");
    assert!(!pods.open(&token).await, "the old token lives again");
    let again = server.operator().await;
    let listed = again.get("/v1/account/api-keys").await.expect(200);
    let statuses: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].clone())
        .collect();
    assert_eq!(
        statuses,
        ["revoked", "active"],
        "A13: without changing status"
    );
    key.mint(&namespace).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_ends_an_account_at_once_on_sqlite() {
    suspending_ends_an_account_at_once(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_ends_an_account_at_once_on_postgresql() {
    suspending_ends_an_account_at_once(Backend::Postgres).await;
}

async fn the_operator_manages_accounts_and_users(backend: Backend) {
    // A13
    let server = Server::start(backend).await;
    let person = server.operator().await;
    let own = person.account_id().await;
    let made = server.admin(&["account", "create", "Team Blue"]);
    let account = made.split_whitespace().next().unwrap().to_owned();
    let list = server.admin(&["account", "list"]);
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.lines().next().unwrap().starts_with(&account),
        "newest first: {list}"
    );
    assert!(
        list.lines().next().unwrap().ends_with("Team Blue"),
        "{list}"
    );
    assert!(list.lines().last().unwrap().starts_with(&own), "{list}");

    // A user, whose one-time password is alone on stdout.
    let create = [
        "user",
        "create",
        "ada@example.org",
        "--account-id",
        &account,
    ];
    let once = server.admin(&create);
    assert_eq!(once.lines().count(), 1, "{once}");
    let ada = Person::sign_in(&server.url, "ada@example.org", once.trim()).await;
    ada.get("/v1/account/api-keys")
        .await
        .problem(403, "password_change_required");
    let password = "a password of Ada's own";
    let body = json!({"current": once.trim(), "new": password});
    ada.put("/v1/auth/password", body).await.expect(204);
    let session = ada.get("/v1/auth/session").await.expect(200);
    assert_eq!(session["account"]["id"], account.as_str());
    assert_eq!(session["role"], "admin", "the default");

    // Limits of the account's own, noticed by the running server.
    let limited = server.admin(&["account", "set-limit", &account, "--keys", "1"]);
    assert!(limited.contains("keys 1"), "{limited}");
    let key = ada.key(json!({"all": true})).await;
    let body = json!({"name": "x", "scopes": {"all": true}});
    ada.post("/v1/account/api-keys", body.clone())
        .await
        .problem(409, "key_limit");
    person
        .post("/v1/account/api-keys", body.clone())
        .await
        .expect(201);
    server.admin(&["account", "set-limit", &account, "--namespaces", "0"]);
    let made = ada
        .post("/v1/kubernetes/namespaces", json!({"name": "x"}))
        .await;
    made.problem(409, "namespace_limit");
    let made = ada.post("/v1/account/api-keys", body.clone()).await;
    made.problem(409, "key_limit");
    // A limit below what there is takes nothing away.
    server.admin(&["account", "set-limit", &account, "--keys", "0"]);
    key.get("/v1/auth/key").await.expect(200);
    server.admin(&[
        "account",
        "set-limit",
        &account,
        "--keys",
        "default",
        "--namespaces",
        "default",
    ]);
    ada.post("/v1/account/api-keys", body).await.expect(201);
    ada.namespace("x").await;

    // A forgotten password: sessions end, and the old one opens nothing.
    let once = server.admin(&["user", "reset-password", "ADA@example.org"]);
    eventually("the session ends", SOON, async || {
        !ada.get("/v1/auth/session").await.status.is_success()
    })
    .await;
    sign_in(&server, "ada@example.org", password)
        .await
        .problem(401, "wrong_credentials");
    let ada = Person::sign_in(&server.url, "ada@example.org", once.trim()).await;
    ada.get("/v1/account/api-keys")
        .await
        .problem(403, "password_change_required");
    key.get("/v1/auth/key").await.expect(200);

    // What cannot be done is said in one sentence.
    let unknown = "0198c0de-0000-7000-8000-000000000001";
    for (arguments, said) in [
        (&["account", "suspend", unknown][..], unknown),
        (&["account", "resume", unknown], unknown),
        (&["account", "set-limit", unknown, "--keys", "1"], unknown),
        (&["account", "set-limit", &account], "--keys"),
        (
            &[
                "user",
                "create",
                "ada@example.org",
                "--account-id",
                &account,
            ],
            "already in use",
        ),
        (
            &["user", "create", "b@example.org", "--account-id", unknown],
            "no such account",
        ),
        (
            &["user", "reset-password", "nobody@example.org"],
            "nobody@example.org",
        ),
    ] {
        let output = server.command(&[&["admin"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains(said) && stderr.lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [
        &["account", "suspend", "nonsense"][..],
        &["account", "create", ""],
        &["account", "set-limit", &account, "--keys", "-1"],
        &["user", "create", "nobody", "--account-id", &account],
        &[
            "user",
            "create",
            "c@example.org",
            "--account-id",
            &account,
            "--role",
            "owner",
        ],
    ] {
        let output = server.command(&[&["admin"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_manages_accounts_and_users_on_sqlite() {
    the_operator_manages_accounts_and_users(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_manages_accounts_and_users_on_postgresql() {
    the_operator_manages_accounts_and_users(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_set_one_limit_each_undo_nothing() {
    // A13
    let server = Server::start(Backend::Postgres).await;
    let account = server.person("ada").await.account_id().await;
    let database = server.database.as_ref().unwrap();
    let held = format!(
        "BEGIN; SELECT 1 FROM accounts WHERE id = '{account}' FOR UPDATE; \
         SELECT pg_sleep(3); COMMIT"
    );
    let set = |limit: &str, value: &str| {
        server.admin(&["account", "set-limit", &account, limit, value]);
    };
    // Both have read what they want to read, and then write one after the other.
    std::thread::scope(|scope| {
        scope.spawn(|| database.query(&held).unwrap());
        std::thread::sleep(Duration::from_millis(500));
        scope.spawn(|| set("--keys", "7"));
        scope.spawn(|| set("--namespaces", "5"));
    });
    let limits = format!("SELECT key_limit, namespace_limit FROM accounts WHERE id = '{account}'");
    assert_eq!(database.query(&limits).unwrap(), "7|5");
}
