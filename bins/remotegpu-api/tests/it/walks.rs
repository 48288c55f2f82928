//! Four walks over everything that the OpenAPI document lists.

use remotegpu_edge::{Place, Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Answer, Asks, Backend, Operation, Person, Server, ServerOptions, client, filled, filled_by,
    operations,
};

/// What opens without credentials: this list and nothing else.
const PUBLIC: [(&str, &str); 3] = [
    ("POST", "/v1/auth/invitations/accept"),
    ("POST", "/v1/auth/sign-in"),
    ("POST", "/v1/auth/sign-up"),
];

/// The routes under `/v1`.
async fn routes(server: &Server) -> Vec<Operation> {
    let mut routes = operations(server).await;
    routes.retain(|route| route.path.starts_with("/v1/"));
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_without_the_right_credentials() {
    // A1, A2
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let key = person.key(json!({"all": true})).await;
    let operations = routes(&server).await;
    let open = operations
        .iter()
        .filter(|known| known.asks == Asks::Nothing);
    let mut open: Vec<_> = open
        .map(|known| (known.method.as_str(), known.path.as_str()))
        .collect();
    open.sort_unstable();
    assert_eq!(
        open, PUBLIC,
        "what asks for nothing is not what shall be public"
    );
    let http = client();
    for Operation {
        method, path, asks, ..
    } in &operations
    {
        if *asks == Asks::Nothing {
            continue;
        }
        let url = format!(
            "{}{}",
            server.url,
            filled(path, &Uuid::new_v4().to_string())
        );
        let request = || http.request(method.clone(), &url);
        let (missing, detail, mut none) = if *asks == Asks::Key {
            let wrong_kind = vec![request().bearer_auth(&person.session_token)];
            ("missing_api_key", "Missing API key", wrong_kind)
        } else {
            let wrong_kind = vec![
                request().bearer_auth(&key.key),
                request().header("x-api-key", &key.key),
            ];
            ("missing_access_token", "Missing access token", wrong_kind)
        };
        none.push(request());
        none.push(request().body("{").header("content-type", "x/y"));
        let refused = async |request: RequestBuilder, code: &str| {
            let answer = Answer::read(request.send().await.unwrap()).await;
            let challenge = Some("Bearer realm=\"remotegpu\"");
            assert_eq!(answer.header("www-authenticate"), challenge);
            (answer.problem(401, code), answer.without_request_id())
        };
        for request in none {
            let (told, _) = refused(request, missing).await;
            assert_eq!(told, detail, "{method} {path}");
        }
        // A1, A3, A4: dead, malformed, or two at once.
        let cookie = format!("remotegpu_session={}", person.session_token);
        let (invalid, detail, wrong) = if *asks == Asks::Key {
            let unknown = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
            let one = request().header("x-api-key", &key.key);
            let wrong = vec![
                request().header("x-api-key", "rgpu_x"),
                request().header("x-api-key", unknown),
                request().header("x-api-key", unknown).bearer_auth(&key.key),
                one.header("x-api-key", &key.key),
            ];
            ("invalid_api_key", "Invalid API key", wrong)
        } else {
            let both = request().bearer_auth(&person.session_token);
            let wrong = vec![
                request().bearer_auth("rgse_x"),
                both.header("cookie", cookie),
            ];
            ("invalid_access_token", "Invalid access token", wrong)
        };
        let mut answers = Vec::new();
        for request in wrong {
            let (told, answer) = refused(request, invalid).await;
            assert_eq!(told, detail, "{method} {path}");
            answers.push(answer);
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }
}

/// One of each kind, all of them good for something.
struct Secrets {
    person: Person,
    service_user: String,
    key: String,
    access_token: String,
}

impl Secrets {
    async fn of(person: Person) -> Self {
        Self {
            access_token: access_token(&person).await["token"]
                .as_str()
                .unwrap()
                .to_owned(),
            key: person.key(json!({"all": true})).await.key,
            service_user: person.service_user("admin").await.caller.session_token,
            person,
        }
    }

    /// One that has not been shown yet, where showing it may end it.
    async fn one(&self, secret: Secret) -> String {
        match secret {
            Secret::Session => {
                let name = self.person.email.split('@').next().unwrap();
                let password = format!("password of {name}");
                let (url, email) = (&self.person.url, &self.person.email);
                Person::sign_in(url, email, &password).await.session_token
            }
            Secret::ServiceUserToken => self.service_user.clone(),
            Secret::ApiKey => self.key.clone(),
            Secret::AccessToken => self.access_token.clone(),
        }
    }
}

fn shown(request: RequestBuilder, secret: &str, place: Place) -> RequestBuilder {
    match place {
        Place::Cookie => request.header("cookie", format!("remotegpu_session={secret}")),
        Place::Bearer => request.bearer_auth(secret),
        Place::KeyHeader => request.header("x-api-key", secret),
    }
}

/// What a secret is answered where the description does not list it.
fn refusal(asks: Asks, secret: Secret, place: Place) -> (u16, &'static str) {
    match (asks, place, secret) {
        (Asks::Nothing, ..) => unreachable!("who asks for nothing refuses nobody"),
        (Asks::Key, Place::KeyHeader, _) => (401, "invalid_api_key"),
        (Asks::Key, ..) => (401, "missing_api_key"),
        (Asks::Session, Place::KeyHeader, _) | (Asks::Session, Place::Bearer, Secret::ApiKey) => {
            (401, "missing_access_token")
        }
        (Asks::Session, Place::Bearer, Secret::ServiceUserToken) => (403, "not_for_service_users"),
        (Asks::Session, ..) => (401, "invalid_access_token"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_secret_opens_what_is_listed_for_it_and_nothing_else() {
    // A1 to A5, T5, T8
    let server = Server::start(Backend::Sqlite).await;
    let secrets = Secrets::of(server.person("ada").await).await;
    let http = client();
    let mut session = secrets.one(Secret::Session).await;
    let mut opened = Vec::new();
    for route in routes(&server).await {
        if route.asks == Asks::Nothing {
            continue;
        }
        let path = filled(&route.path, &Uuid::new_v4().to_string());
        for (secret, place) in Secret::ALL
            .into_iter()
            .flat_map(|secret| Place::ALL.map(|place| (secret, place)))
        {
            let text = match secret {
                Secret::Session => session.clone(),
                _ => secrets.one(secret).await,
            };
            let request = http.request(route.method.clone(), format!("{}{path}", server.url));
            let answer = shown(request, &text, place).send().await.unwrap();
            let answer = Answer::read(answer).await;
            let what = format!("{secret:?} in {place:?} at {} {path}", route.method);
            let scheme = secret.scheme(place).map(|scheme| scheme.name().to_owned());
            let is_listed = scheme
                .as_ref()
                .is_some_and(|name| route.schemes.contains(name));
            if is_listed {
                assert_ne!(answer.status, 401, "{what}: {answer:?}");
                let refused = answer.text.contains("not_for_service_users");
                assert!(!refused, "{what}: {answer:?}");
                opened.push(scheme.unwrap());
                if route.path.ends_with("sign-out") {
                    session = secrets.one(Secret::Session).await;
                }
            } else {
                let (status, code) = refusal(route.asks, secret, place);
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                answer.problem(status, code);
            }
        }
    }
    opened.sort_unstable();
    opened.dedup();
    assert_eq!(
        opened.len(),
        remotegpu_edge::Scheme::ALL.len(),
        "{opened:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_ours_opens_a_page_or_a_cluster_that_is_not_meant_for_it() {
    // A1, T8, H3
    let server = Server::start(Backend::Sqlite).await;
    let secrets = Secrets::of(server.person("ada").await).await;
    let namespace = secrets.person.namespace("team-ml").await;
    let kubeconfig = secrets.person.kubeconfig(&namespace, "shell").await;
    let cluster = kubeconfig
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: "));
    let cluster = format!("{}/api/v1/namespaces", cluster.unwrap().trim_matches('"'));
    let http = client();
    for secret in Secret::ALL {
        let text = secrets.one(secret).await;
        let asked = http.get(&cluster).bearer_auth(&text).send().await.unwrap();
        // An access token says who comes, who may not list every namespace (contract T4).
        let is_known = secret == Secret::AccessToken;
        let expected = if is_known { 403 } else { 401 };
        assert_eq!(asked.status(), expected, "{secret:?} in a cluster");
        for place in Place::ALL {
            let page = http.get(format!("{}/kubernetes", server.url));
            let page = shown(page, &text, place).send().await.unwrap();
            let is_let_in = (secret, place) == (Secret::Session, Place::Cookie);
            let expected = if is_let_in { 200 } else { 303 };
            assert_eq!(page.status(), expected, "{secret:?} in {place:?} on a page");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_account_s_answers_like_what_does_not_exist() {
    // C5, C6
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let namespace = bob.namespace("team-ml").await;
    let his_key = bob.key(json!({"all": true})).await;
    let machine = bob.service_user("write").await;
    let her_key = ada.key(json!({"all": true})).await;
    let his_user = bob.get("/v1/auth/session").await.expect(200)["user"]["id"].clone();
    let his_user = his_user.as_str().unwrap().to_owned();
    let his_token = access_token(&bob).await;
    let body = json!({"email": "guest@example.org", "role": "read"});
    let his_guest = bob.post("/v1/account/invitations", body).await.expect(201);
    let his_guest = his_guest["id"].as_str().unwrap().to_owned();
    let his_namespace = namespace["id"].as_str().unwrap();
    let path = format!("/v1/kubernetes/namespaces/{his_namespace}/kubeconfig-token");
    let his_file = bob.post(&path, json!({})).await.expect(201);
    let mut walked = 0;
    for Operation {
        method, path, asks, ..
    } in routes(&server).await
    {
        if !path.contains('{') {
            continue;
        }
        let foreign = filled_by(&path, |parameter| match parameter {
            "key_id" => his_key.id(),
            "user_id" => &his_user,
            "invitation_id" => &his_guest,
            "namespace_id" => his_namespace,
            "service_user_id" => &machine.id,
            "token_id" if path.contains("/access-tokens/") => his_token["id"].as_str().unwrap(),
            "token_id" if path.contains("/service-users/") => machine.token_id(),
            "token_id" => his_file["id"].as_str().unwrap(),
            other => panic!("whose is {other}?"),
        });
        let mut answers = Vec::new();
        for path in [
            foreign,
            filled(&path, &Uuid::new_v4().to_string()),
            filled(&path, "no-identifier"),
        ] {
            let url = format!("{}{path}", server.url);
            let request = ada.http.request(method.clone(), url);
            let request = if asks == Asks::Key {
                request.header("x-api-key", &her_key.key)
            } else {
                request.bearer_auth(&ada.session_token)
            };
            let request = request.json(&json!({"name": "other"}));
            answers.push(
                Answer::read(request.send().await.unwrap())
                    .await
                    .without_request_id(),
            );
        }
        let expected = if asks == Asks::Key { 403 } else { 404 };
        assert_eq!(answers[0].0, expected, "{method} {path}: {:?}", answers[0]);
        assert_eq!(
            answers[0], answers[1],
            "{method} {path}: foreign and unknown differ"
        );
        assert_eq!(
            answers[0], answers[2],
            "{method} {path}: foreign and malformed differ"
        );
        walked += 1;
    }
    assert!(walked >= 6, "the walk saw only {walked} routes");
    // K12: scopes that name a foreign namespace say no more than unknown ones.
    let mut answers = Vec::new();
    for id in [
        namespace["id"].as_str().unwrap(),
        &Uuid::new_v4().to_string(),
        "no-identifier",
    ] {
        let scopes = json!({"kubernetes_exec": {"namespace_ids": [id]}});
        let answer = ada
            .post(
                "/v1/account/api-keys",
                json!({"name": "x", "scopes": scopes}),
            )
            .await;
        answer.problem(400, "foreign_namespace");
        answers.push(answer.without_request_id());
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

/// An access token with its secret, for the one cluster there is.
async fn access_token(person: &Person) -> Value {
    let clusters = person.get("/v1/kubernetes/clusters").await.expect(200);
    let clusters = [&clusters["items"][0]["name"]];
    let body = json!({"name": "laptop", "clusters": clusters, "expires_in_seconds": 3600});
    person
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201)
}

/// Sends every secret through every route, and answers the secrets.
async fn send_secrets_everywhere(server: &Server, person: &Person) -> Vec<(&'static str, String)> {
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let minted = key.mint(&namespace).await.expect(200);
    let machine = person.service_user("admin").await;
    let path = format!("/v1/account/api-keys/{}/rotate", key.id());
    let rotated = person
        .post(&path, json!({"grace_seconds": 60}))
        .await
        .expect(200);
    let access_token = access_token(person).await;
    let body = json!({"email": "guest@example.org", "role": "read"});
    let invited = person
        .post("/v1/account/invitations", body)
        .await
        .expect(201);
    let link = invited["link"].as_str().unwrap();
    let password = "a canary of a password".to_owned();
    let secrets = vec![
        ("key", key.key.clone()),
        ("rotated key", rotated["key"].as_str().unwrap().to_owned()),
        ("session token", person.session_token.clone()),
        ("service user's token", machine.caller.session_token),
        (
            "cluster token",
            minted["status"]["token"].as_str().unwrap().to_owned(),
        ),
        (
            "access token",
            access_token["token"].as_str().unwrap().to_owned(),
        ),
        ("password", password.clone()),
        ("invitation", link.rsplit('/').next().unwrap().to_owned()),
    ];
    let http = client();
    for Operation { method, path, .. } in routes(server).await {
        for (_, secret) in &secrets {
            let url = format!(
                "{}{}",
                server.url,
                filled(&path, namespace["id"].as_str().unwrap())
            );
            let bodies = [
                json!({"name": secret, "email": secret, "password": secret, "cookie": false}),
                json!({"name": "x", "scopes": {secret.as_str(): true}}),
                json!({"current": secret, "new": secret}),
                json!({"name": secret, "note": secret, "clusters": [secret], "namespace_id": secret}),
                json!({"token": secret, "password": "short"}),
            ];
            for body in bodies {
                let request = http
                    .request(method.clone(), &url)
                    .query(&[("cursor", secret), ("plugin", secret), ("names", secret)])
                    .header("x-api-key", secret)
                    .header("x-request-id", "canary")
                    .header("cookie", format!("remotegpu_session={secret}"))
                    .json(&body);
                // Deleting would end the walk's own namespace.
                if method != Method::DELETE {
                    request.send().await.unwrap();
                }
            }
            let bearer = http.request(method.clone(), &url).bearer_auth(secret);
            if method != Method::DELETE && !path.ends_with("sign-out") {
                bearer.send().await.unwrap();
            }
            let in_path = format!("{}{}", server.url, filled(&path, secret));
            http.request(method.clone(), in_path).send().await.unwrap();
        }
    }
    secrets
}

async fn no_secret_stays(backend: Backend) {
    // K2, A6, A8
    let options = ServerOptions::new(backend).with("log", "trace");
    let mut server = Server::start_with(options).await;
    let person = server.person("ada").await;
    let secrets = send_secrets_everywhere(&server, &person).await;
    server.stop();
    let log = server.log();
    assert!(
        log.contains("DEBUG") && log.contains("a cluster token was minted"),
        "the log is not fine enough:\n{log}"
    );
    assert!(log.contains("canary"), "the requests are not in the log");
    let dump = match &server.database {
        Some(database) => {
            let tables = database
                .query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                .unwrap();
            let dump = |table: &str| {
                let sql = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
                database.query(&sql).unwrap()
            };
            tables.lines().map(dump).collect::<String>().into_bytes()
        }
        None => ["remotegpu.db", "remotegpu.db-wal"]
            .iter()
            .flat_map(|file| std::fs::read(server.path("data").join(file)).unwrap_or_default())
            .collect(),
    };
    let contains = |needle: &str| {
        dump.windows(needle.len())
            .any(|part| part == needle.as_bytes())
    };
    assert!(contains("ada@example.org"), "the dump is empty");
    for (what, secret) in &secrets {
        assert!(!log.contains(secret.as_str()), "the {what} is in the log");
        assert!(!contains(secret), "the {what} is in the database");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_or_in_sqlite() {
    no_secret_stays(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_or_in_postgresql() {
    no_secret_stays(Backend::Postgres).await;
}
