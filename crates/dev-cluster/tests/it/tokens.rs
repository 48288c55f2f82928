//! Tokens of service accounts, which live as long as their accounts.

use serde_json::{Value, json};

use std::sync::Arc;

use crate::actor::start;

const ACCOUNTS: &str = "/api/v1/namespaces/a/serviceaccounts";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

#[tokio::test(flavor = "multi_thread")]
async fn token_lasts_as_long_as_asked_within_limits() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let token = format!("{ACCOUNTS}/default/token");
    for (asked, seconds) in [(json!(null), 3600), (json!(600), 600), (json!(86_400), 86_400)] {
        let answer = admin.make(&token, json!({"spec": {"expirationSeconds": asked}})).await;
        assert_eq!(answer["spec"]["expirationSeconds"], seconds);
        let ends = answer["status"]["expirationTimestamp"].as_str().unwrap();
        let ends = time::OffsetDateTime::parse(ends, &time::format_description::well_known::Rfc3339).unwrap();
        let off = (ends - time::OffsetDateTime::now_utc()).whole_seconds() - seconds;
        assert!(off.abs() <= 2, "{off} s off");
        let claims = claims(answer["status"]["token"].as_str().unwrap());
        assert_eq!(claims["exp"], ends.unix_timestamp());
        assert_eq!(claims["sub"], "system:serviceaccount:a:default");
        assert_eq!(claims["kubernetes.io"]["namespace"], "a");
    }
    let (code, status) = admin.post(&token, json!({"spec": {"expirationSeconds": 599}})).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
    let (code, status) = admin.post(&format!("{ACCOUNTS}/none/token"), json!({"spec": {}})).await;
    assert_eq!((code, &status["message"]), (404, &json!("serviceaccounts \"none\" not found")));
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn token_dies_with_its_account_for_good() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let bot = admin.account("a", "bot").await;
    assert_eq!(bot.post(WHO, json!({})).await.0, 201);
    admin.delete(&format!("{ACCOUNTS}/bot"), json!({})).await;
    assert_eq!(bot.post(WHO, json!({})).await.0, 401);
    let second = admin.account("a", "bot").await;
    assert_eq!(second.post(WHO, json!({})).await.0, 201);
    assert_eq!(bot.post(WHO, json!({})).await.0, 401, "a new account of the same name is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_review_tells_whose_a_token_is() {
    let world = start().await;
    let admin = &world.admin;
    admin.make_namespace("a").await;
    let bot = admin.account("a", "bot").await;
    let answer = admin.make(REVIEWS, json!({"spec": {"token": bot.token.unwrap()}})).await;
    assert_eq!(answer["status"]["authenticated"], true);
    assert_eq!(answer["status"]["user"]["username"], "system:serviceaccount:a:bot");
    let answer = admin.make(REVIEWS, json!({"spec": {"token": "nonsense"}})).await;
    assert_ne!(answer["status"]["authenticated"], true);
    // A token for someone else opens nothing here.
    let answer = admin.make(&format!("{ACCOUNTS}/bot/token"), json!({"spec": {"audiences": ["vault"]}})).await;
    let elsewhere = admin.with_token(answer["status"]["token"].as_str());
    assert_eq!(elsewhere.post(WHO, json!({})).await.0, 401);
    let token = elsewhere.token.unwrap();
    let answer = admin.make(REVIEWS, json!({"spec": {"token": token, "audiences": ["vault"]}})).await;
    assert_eq!(answer["status"]["audiences"], json!(["vault"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_not_the_clusters_own_is_the_hooks_to_know() {
    let hook = |review: Value| -> std::pin::Pin<Box<dyn Future<Output = Value> + Send>> {
        let status = match review["spec"]["token"].as_str().unwrap() {
            token @ ("ada" | "vault") => json!({
                "authenticated": true,
                "user": {
                    "username": "ada", "uid": "1", "groups": ["engines"],
                    "extra": {"example.org/token": ["t"]},
                },
                "audiences": [if token == "ada" { ISSUER } else { "vault" }],
            }),
            "down" => json!({"error": "nobody answers"}),
            _ => json!({"authenticated": false}),
        };
        Box::pin(std::future::ready(json!({"kind": "TokenReview", "status": status})))
    };
    let world = start().await;
    world.cluster.ask_about_tokens(Arc::new(hook));
    let (admin, ada) = (&world.admin, world.admin.with_token(Some("ada")));
    let user = ada.make(WHO, json!({})).await["status"]["userInfo"].clone();
    assert_eq!(user["username"], "ada");
    assert_eq!(user["groups"], json!(["engines", "system:authenticated"]));
    assert_eq!(user["extra"], json!({"example.org/token": ["t"]}));
    for other in ["nobody", "down", "vault", ""] {
        assert_eq!(admin.with_token(Some(other)).post(WHO, json!({})).await.0, 401, "{other}");
    }
    let review = async |token: &str| admin.make(REVIEWS, json!({"spec": {"token": token}})).await["status"].clone();
    assert_eq!(review("ada").await["user"]["uid"], "1");
    assert_eq!(review("ada").await["audiences"], json!([ISSUER]));
    assert_ne!(review("nobody").await["authenticated"], true);
    assert_eq!(review("down").await["error"], "nobody answers");

    admin.make_namespace("a").await;
    let pods = "/api/v1/namespaces/a/pods";
    assert_eq!(ada.get(pods).await.0, 403);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/a";
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    admin.make(&format!("{rbac}/roles"), json!({"metadata": {"name": "see"}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": "see"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "see"},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "engines"}],
    });
    admin.make(&format!("{rbac}/rolebindings"), binding).await;
    assert_eq!(ada.get(pods).await.0, 200);
}
