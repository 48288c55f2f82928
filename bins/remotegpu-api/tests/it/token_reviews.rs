//! Clusters ask who an access token is (contract T6).

use std::time::Duration;

use remotegpu_test_support::postgres::TestPostgres;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Asking, Backend, Kubectl, Person, Pods, Server, Stopwatch, Webhook, eventually,
};

const VERSION: &str = "authentication.k8s.io/v1";
/// Nobody has to reach them.
const CLUSTERS: [&str; 2] = ["eu", "us"];
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What is looked at of an answer.
impl Asking {
    /// The status of the answer to a review that is answered.
    async fn ask(&self, token: &str, audiences: &[&str]) -> Value {
        let (status, answer) = self.send(Self::review(token, audiences).to_string()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["kind"], &answer["apiVersion"]),
            (&json!("TokenReview"), &json!(VERSION))
        );
        assert!(
            !answer.to_string().contains(token) || token.is_empty(),
            "{answer}"
        );
        answer["status"].clone()
    }

    async fn lets_in(&self, token: &str) -> bool {
        self.ask(token, &[ISSUER]).await["authenticated"] == true
    }

    async fn groups(&self, token: &str) -> Value {
        self.ask(token, &[ISSUER]).await["user"]["groups"].clone()
    }

    async fn refused(&self, body: String, status: u16) -> String {
        let (found, answer) = self.send(body).await;
        is_status(found, &answer, status)
    }
}

/// A refusal in Kubernetes' own shape; answers what it says.
fn is_status(found: StatusCode, answer: &Value, status: u16) -> String {
    assert_eq!(found.as_u16(), status, "{answer}");
    assert_eq!(
        (&answer["kind"], &answer["apiVersion"]),
        (&json!("Status"), &json!("v1"))
    );
    assert_eq!(
        (&answer["status"], &answer["code"]),
        (&json!("Failure"), &json!(status))
    );
    assert!(answer["reason"].is_string(), "{answer}");
    answer["message"].as_str().unwrap().to_owned()
}

/// A token for these clusters: its identifier, and the token.
async fn token(person: &Person, clusters: &[&str]) -> (String, String) {
    let body = json!({"name": "laptop", "clusters": clusters, "expires_in_seconds": 3600});
    let made = person
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn delete(person: &Person, id: &str) {
    let path = format!("/v1/account/access-tokens/{id}");
    person.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_its_holder_in_its_clusters_and_nobody_elsewhere() {
    // T4, T6
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let webhook = Webhook::new();
        let options = webhook.options(backend, &CLUSTERS).with("log", "trace");
        let server = Server::start_with(options).await;
        let ada = server.operator().await;
        let (eu, us) = (Asking::of(&server, "eu"), Asking::of(&server, "us"));
        assert_ne!(eu.credential, us.credential);
        let (id, token_of_eu) = token(&ada, &["eu"]).await;
        let (_, of_both) = token(&ada, &["eu", "us"]).await;
        let session = ada.get("/v1/auth/session").await.expect(200);
        let (user, account) = (
            session["user"]["id"].as_str().unwrap(),
            session["account"]["id"].as_str().unwrap(),
        );
        for _ in 0..2 {
            assert_eq!(
                eu.ask(&token_of_eu, &[ISSUER, "vault"]).await,
                json!({
                    "authenticated": true,
                    "user": {
                        "username": format!("remotegpu:user:{user}"),
                        "uid": user,
                        "groups": [format!("remotegpu:account:{account}:admin")],
                        "extra": {"remotegpu.ai/access-token": [id]},
                    },
                    "audiences": [ISSUER],
                })
            );
            assert_eq!(
                us.ask(&token_of_eu, &[]).await,
                json!({"authenticated": false})
            );
            for asking in [&eu, &us] {
                assert!(asking.lets_in(&of_both).await);
                let nobody = json!({"authenticated": false});
                assert_eq!(asking.ask(&of_both, &["vault"]).await, nobody);
            }
        }
        // What no audience is asked for is for the API server itself.
        assert_eq!(eu.ask(&of_both, &[]).await["authenticated"], true);
        let key = ada.key(json!({"all": true})).await;
        let unknown = format!("rgat_{}", &key.key[5..]);
        for nobody in [
            "",
            "junk",
            &unknown,
            &key.key,
            &ada.session_token,
            &eu.credential,
        ] {
            assert_eq!(
                eu.ask(nobody, &[ISSUER]).await,
                json!({"authenticated": false})
            );
        }
        delete(&ada, &id).await;
        assert!(!eu.lets_in(&token_of_eu).await, "the next review");
        let account = ada.account_id().await;
        server.admin(&["account", "suspend", &account]);
        let out = async || !eu.lets_in(&of_both).await;
        eventually("nobody comes in", Duration::from_secs(1), out).await;
        for secret in [&token_of_eu, &of_both, &eu.credential, &us.credential] {
            assert!(!server.log().contains(&**secret));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_answered_by_its_own_credential_and_in_kubernetes_shapes() {
    // T6, R4
    let webhook = Webhook::new();
    let server = Server::start_with(webhook.options(Backend::Sqlite, &CLUSTERS)).await;
    let ada = server.operator().await;
    let (eu, us) = (Asking::of(&server, "eu"), Asking::of(&server, "us"));
    let (_, of_both) = token(&ada, &["eu", "us"]).await;
    let review = || Asking::review(&of_both, &[ISSUER]).to_string();
    let with = |credential: &str| Asking {
        credential: credential.to_owned(),
        ..eu.clone()
    };
    let altered = format!("{}A", &eu.credential[..eu.credential.len() - 1]);
    for wrong in [&us.credential, &altered, &ada.session_token, &of_both] {
        let said = with(wrong).refused(review(), 401).await;
        assert!(!said.contains(wrong.as_str()));
    }
    let anonymous = eu.http.post(&eu.url).body(review()).send().await.unwrap();
    let challenge = anonymous.headers().get("www-authenticate").cloned();
    assert!(challenge.unwrap().to_str().unwrap().starts_with("Bearer"));
    is_status(anonymous.status(), &anonymous.json().await.unwrap(), 401);

    for (body, status, says) in [
        (String::new(), 400, "TokenReview"),
        ("{".to_owned(), 400, "TokenReview"),
        (
            review().replace(VERSION, "authentication.k8s.io/v1beta1"),
            400,
            "-version=v1",
        ),
        (
            review().replace("TokenReview", "AdmissionReview"),
            400,
            "TokenReview",
        ),
        (" ".repeat(64 * 1024 + 1), 413, "65536"),
    ] {
        let said = eu.refused(body, status).await;
        assert!(said.contains(says), "{said}");
    }
    let unknown_members = review().replacen('{', "{\"later\": [1], ", 1);
    assert_eq!(
        eu.send(unknown_members).await.1["status"]["authenticated"],
        true
    );
    let yaml = eu.http.post(&eu.url).bearer_auth(&eu.credential);
    let yaml = yaml
        .header("content-type", "application/yaml")
        .body(review());
    let yaml = yaml.send().await.unwrap();
    is_status(yaml.status(), &yaml.json().await.unwrap(), 415);

    // Its own routes, and nowhere else.
    let ask = async |method: Method, url: String| {
        let asked = eu.http.request(method, url).bearer_auth(&eu.credential);
        let asked = asked.header("content-type", "application/json");
        asked.body(review()).send().await.unwrap()
    };
    let path = "/webhooks/token-review/eu";
    for (method, path, status) in [
        (Method::GET, path, 405),
        (Method::POST, "/webhooks/token-review", 404),
        (Method::POST, "/v1/auth/sign-in", 404),
        (Method::GET, "/livez", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/", 404),
        // No cluster of that name has this credential.
        (Method::POST, "/webhooks/token-review/asia", 401),
    ] {
        let answer = ask(method, format!("{}{path}", server.webhook_url())).await;
        is_status(answer.status(), &answer.json().await.unwrap(), status);
    }
    for elsewhere in [&server.url, &server.internal_url] {
        let answer = ask(Method::POST, format!("{elsewhere}{path}")).await;
        assert_eq!(answer.status(), 404, "{elsewhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_rotated_counts_for_its_grace() {
    // T6
    let webhook = Webhook::new();
    let server = Server::start_with(webhook.options(Backend::Sqlite, &CLUSTERS)).await;
    let ada = server.operator().await;
    let (_, token) = token(&ada, &["eu", "us"]).await;
    let (first, us) = (Asking::of(&server, "eu"), Asking::of(&server, "us"));
    let rotate = |grace: &str| {
        let command = [
            "cluster",
            "rotate-webhook-credential",
            "eu",
            "--grace-seconds",
            grace,
        ];
        Asking {
            credential: server.admin(&command).trim().to_owned(),
            ..first.clone()
        }
    };
    let counts = async |asking: &Asking| {
        let (status, _) = asking.send(Asking::review(&token, &[]).to_string()).await;
        assert!([200, 401].contains(&status.as_u16()), "{status}");
        status == 200
    };
    let second = rotate("3600");
    assert_eq!(second.credential, Asking::of(&server, "eu").credential);
    eventually("the new one counts", Duration::from_secs(10), async || {
        counts(&second).await
    })
    .await;
    assert!(counts(&first).await, "its grace lasts");
    let third = rotate("0");
    eventually(
        "only the newest counts",
        Duration::from_secs(10),
        async || counts(&third).await && !counts(&second).await && !counts(&first).await,
    )
    .await;
    assert!(counts(&us).await, "another cluster's stays");
    let unknown = server.command(&["admin", "cluster", "rotate-webhook-credential", "asia"]);
    assert!(!unknown.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_does_counts_on_the_other_within_a_second() {
    // K13, T6
    let webhook = Webhook::new();
    let one = Server::start_with(webhook.options(Backend::Postgres, &CLUSTERS)).await;
    let two = one.second_instance().await;
    let ada = one.operator().await;
    let here = Asking::of(&one, "eu");
    let there = here.at(&two);
    for _ in 0..10 {
        let (id, token) = token(&ada, &["eu"]).await;
        for _ in 0..2 {
            assert!(here.lets_in(&token).await && there.lets_in(&token).await);
        }
        delete(&ada, &id).await;
        assert!(!here.lets_in(&token).await, "the next review here");
        let out = async || !there.lets_in(&token).await;
        eventually("it is out there", Duration::from_secs(1), out).await;
    }
    let database = one.database.as_ref().unwrap();
    let (_, token) = token(&ada, &["eu"]).await;
    let account = ada.account_id().await;
    let group = |role: &str| json!([format!("remotegpu:account:{account}:{role}")]);
    assert_eq!(there.groups(&token).await, group("admin"));
    for role in ["read", "write"] {
        database
            .query(&format!("UPDATE memberships SET role = '{role}'"))
            .unwrap();
        for asking in [&here, &there] {
            let changed = async || asking.groups(&token).await == group(role);
            eventually("the role is another", Duration::from_secs(1), changed).await;
        }
    }
    database.query("DELETE FROM memberships").unwrap();
    for asking in [&here, &there] {
        let out = async || !asking.lets_in(&token).await;
        eventually("they are out", Duration::from_secs(1), out).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_nobody_is_let_in_and_nobody_is_denied() {
    // K13, T6
    let mut postgres = TestPostgres::private().unwrap();
    let webhook = Webhook::new();
    let options = webhook.options(Backend::Sqlite, &CLUSTERS);
    let options = options.with("database-url", postgres.url());
    let server = Server::start_with(options).await;
    let ada = server.operator().await;
    let eu = Asking::of(&server, "eu");
    let (_, token) = token(&ada, &["eu"]).await;
    let key = ada.key(json!({"all": true})).await;
    let made_up = format!("rgat_{}", &key.key[5..]);
    for _ in 0..2 {
        assert!(eu.lets_in(&token).await);
    }
    postgres.stop().unwrap();
    let stopped = Stopwatch::start();
    loop {
        let late = stopped.is_over(Duration::from_secs(5));
        let (status, answer) = eu.send(Asking::review(&token, &[ISSUER]).to_string()).await;
        if status == 200 {
            assert!(!late, "{answer}");
            assert_eq!(answer["status"]["authenticated"], true, "never a bare no");
        } else {
            is_status(status, &answer, 503);
            if late {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What can be no token is told without asking anybody.
    for junk in ["junk", &made_up] {
        let (status, answer) = eu.send(Asking::review(junk, &[ISSUER]).to_string()).await;
        assert_eq!(
            (status.as_u16(), &answer["status"]["authenticated"]),
            (200, &json!(false))
        );
    }
    postgres.start().unwrap();
    let back = async || {
        let (status, _) = eu.send(Asking::review(&token, &[ISSUER]).to_string()).await;
        status == 200 && eu.lets_in(&token).await
    };
    eventually("all is well", Duration::from_secs(5), back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_cluster_knows_tokens_as_any_other_does() {
    // R1, T4, T6
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.operator().await;
    let namespace = ada.namespace("team-ml").await;
    let body = json!({"name": "laptop", "clusters": ["dev"], "expires_in_seconds": 3600});
    let made = ada
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    let (id, file) = (
        made["id"].as_str().unwrap(),
        made["kubeconfig"].as_str().unwrap(),
    );
    let pods = Pods::of(file, &namespace);
    let eve = server.colleague(&ada, "eve@example.org", "read").await;
    let (_, of_eve) = token(&eve, &["dev"]).await;
    let of_ada = made["token"].as_str().unwrap();
    assert!(pods.open(of_ada).await && pods.open(&of_eve).await);

    let own = namespace["kubernetes_namespace"].as_str().unwrap();
    let kubectl = Kubectl::new(file);
    let may = |verb: &str, what: &str| {
        let asked = ["-n", own, "auth", "can-i", verb, what];
        let answer = kubectl.command(None, &asked).output().unwrap();
        answer.status.success()
    };
    assert!(may("get", "secrets") && may("create", "deployments.apps"));
    assert!(!may("create", "rolebindings.rbac.authorization.k8s.io"));

    delete(&ada, id).await;
    assert_eq!(pods.status(of_ada).await, 401, "the next request");
    assert!(pods.open(&of_eve).await);
    let session = eve.get("/v1/auth/session").await.expect(200);
    let member = format!(
        "/v1/account/members/{}",
        session["user"]["id"].as_str().unwrap()
    );
    ada.delete(&member).await.expect(200);
    assert_eq!(pods.status(&of_eve).await, 401, "the next request");
}
