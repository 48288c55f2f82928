//! A running cluster, and someone who talks to it.

use std::time::{Duration, Instant};

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig, PodAdmission};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct World {
    pub cluster: DevCluster,
    pub admin: Actor,
    pub folder: TempDir,
}

/// Someone with a token, or without one.
#[derive(Clone)]
pub struct Actor {
    client: Client,
    url: String,
    pub token: Option<String>,
}

pub async fn start() -> World {
    start_in(tempfile::tempdir().unwrap(), None).await
}

pub async fn start_in(folder: TempDir, admission: Option<PodAdmission>) -> World {
    // A second test of this process finds the provider installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = DevClusterConfig::new(([127, 0, 0, 1], 0).into(), folder.path());
    let cluster = DevCluster::start(config, admission).await.unwrap();
    let kubeconfig: Value = serde_saphyr::from_str(&cluster.admin_kubeconfig()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let ca = reqwest::Certificate::from_pem(cluster.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([ca]).build().unwrap();
    let admin = Actor { client, url: cluster.server_url(), token: Some(token) };
    World { cluster, admin, folder }
}

impl Actor {
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: String) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.header("content-type", content_type).body(body).send().await.unwrap()
    }

    async fn json(&self, method: Method, path: &str, content_type: &str, body: String) -> (u16, Value) {
        let response = self.send(method, path, content_type, body).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.json(Method::GET, path, "application/json", String::new()).await
    }

    pub async fn table(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(self.token.as_deref().unwrap());
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        request.header("accept", accept).send().await.unwrap().json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.json(Method::POST, path, "application/json", body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.json(Method::PUT, path, "application/json", body.to_string()).await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: Value) -> (u16, Value) {
        self.json(Method::PATCH, path, &format!("application/{kind}"), body.to_string()).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> (u16, Value) {
        self.json(Method::DELETE, path, "application/json", body.to_string()).await
    }

    /// Creates something that has to be created.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let (code, object) = self.post(path, body).await;
        assert_eq!(code, 201, "{object}");
        object
    }

    pub async fn make_namespace(&self, name: &str) -> Value {
        self.make("/api/v1/namespaces", json!({"metadata": {"name": name}})).await
    }

    /// Waits until an object is as it should be.
    pub async fn wait(&self, path: &str, what: impl Fn(u16, &Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let (code, object) = self.get(path).await;
            if what(code, &object) {
                return object;
            }
            assert!(Instant::now() < end, "{path} did not become so: {object}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A service account in the namespace, and someone who acts as it.
    pub async fn account(&self, namespace: &str, name: &str) -> Self {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.make(&path, json!({"metadata": {"name": name}})).await;
        let answer = self.make(&format!("{path}/{name}/token"), json!({"spec": {}})).await;
        self.with_token(answer["status"]["token"].as_str())
    }

    /// Lets a service account do what the rules say, in its namespace.
    pub async fn allow(&self, namespace: &str, account: &str, rules: Value) {
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        self.make(&format!("{rbac}/roles"), json!({"metadata": {"name": account}, "rules": rules})).await;
        let binding = json!({
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        });
        self.make(&format!("{rbac}/rolebindings"), binding).await;
    }
}

pub fn deployment(name: &str, replicas: u64) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "nginx:1.27-alpine"}]},
            },
        },
    })
}

pub fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}
