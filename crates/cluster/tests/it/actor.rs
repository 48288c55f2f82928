//! Somebody who speaks to a cluster directly.

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::{
    Client, Config,
    client::Body,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

pub struct Actor(Client);

impl Actor {
    /// Who the kubeconfig says.
    pub async fn of_kubeconfig(kubeconfig: &str) -> Self {
        Self(Client::try_from(config(kubeconfig).await).unwrap())
    }

    /// Who the token says, at the kubeconfig's cluster.
    pub async fn with_token(kubeconfig: &str, token: &str) -> Self {
        let mut config = config(kubeconfig).await;
        let token = json!({"token": token});
        config.auth_info = serde_json::from_value::<AuthInfo>(token).unwrap();
        Self(Client::try_from(config).unwrap())
    }

    /// The status, and the body where it is JSON.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method: Method = method.parse().unwrap();
        let kind = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(Body::from(body.into_bytes()))
            .unwrap();
        let answer = self.0.send(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The status of a read in somebody else's name.
    pub async fn get_as(&self, path: &str, user: &str) -> u16 {
        let request = Request::builder()
            .uri(path)
            .header("impersonate-user", user)
            .body(Body::empty())
            .unwrap();
        self.0.send(request).await.unwrap().status().as_u16()
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, None).await
    }

    /// What has to succeed.
    pub async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// Whether this actor may do something; `resource` may name a subresource.
    pub async fn may(&self, namespace: &str, verb: &str, group: &str, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": subresource,
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.done("POST", path, Some(review)).await;
        answer["status"]["allowed"] == true
    }
}

async fn config(kubeconfig: &str) -> Config {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.proxy_url = None;
    config.default_retry = false;
    config
}
