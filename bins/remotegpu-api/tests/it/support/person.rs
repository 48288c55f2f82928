//! People and keys, and how they talk to the server.

use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::{Value, json};

use super::Answer;

/// A client that takes nothing from the environment; reading this machine's
/// certificates would take longer than most tests, and nobody needs them.
pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        // Certificates here are made for one test.
        .tls_danger_accept_invalid_certs(true)
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// Somebody who is signed in, by session token.
#[derive(Debug, Clone)]
pub struct Person {
    pub url: String,
    pub http: Client,
    pub session_token: String,
    pub email: String,
}

impl Person {
    pub async fn sign_in(url: &str, email: &str, password: &str) -> Self {
        let http = client();
        let body = json!({"email": email, "password": password, "cookie": false});
        let response = http
            .post(format!("{url}/v1/auth/sign-in"))
            .json(&body)
            .send()
            .await;
        let signed_in = Answer::read(response.unwrap()).await.expect(200);
        Self {
            url: url.to_owned(),
            http,
            session_token: signed_in["access_token"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
        }
    }

    pub async fn sign_up(url: &str, name: &str) -> Self {
        let (email, password) = (format!("{name}@example.org"), format!("password of {name}"));
        let body = json!({"email": email, "password": password, "account_name": name});
        let response = client()
            .post(format!("{url}/v1/auth/sign-up"))
            .json(&body)
            .send()
            .await;
        Answer::read(response.unwrap()).await.expect(201);
        Self::sign_in(url, &email, &password).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.session_token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        Answer::read(self.request(method, path).json(&body).send().await.unwrap()).await
    }

    pub async fn account_id(&self) -> String {
        let session = self.get("/v1/auth/session").await.expect(200);
        session["account"]["id"].as_str().unwrap().to_owned()
    }

    /// A namespace that is active.
    pub async fn namespace(&self, name: &str) -> Value {
        let made = self
            .post("/v1/kubernetes/namespaces", json!({"name": name}))
            .await
            .expect(201);
        assert_eq!(made["status"], "active", "{made}");
        made
    }

    pub async fn key(&self, scopes: Value) -> KeyHolder {
        let body = json!({"name": "test", "scopes": scopes});
        let item = self.post("/v1/account/api-keys", body).await.expect(201);
        KeyHolder::new(&self.url, item)
    }

    /// A service user of the person's account with this role, and its token.
    pub async fn service_user(&self, role: &str) -> ServiceUser {
        let path = "/v1/account/service-users";
        let item = self.post(path, json!({"name": "ci", "role": role})).await;
        let item = item.expect(201);
        let id = item["id"].as_str().unwrap().to_owned();
        let path = format!("{path}/{id}/tokens");
        let token = json!({"name": "main", "expires_in_seconds": 3600});
        let token = self.post(&path, token).await.expect(201);
        let caller = Self {
            session_token: token["token"].as_str().unwrap().to_owned(),
            email: String::new(),
            ..self.clone()
        };
        ServiceUser { id, token, caller }
    }

    pub async fn revoke(&self, key: &KeyHolder) {
        let path = format!("/v1/account/api-keys/{}/revoke", key.id());
        self.post(&path, json!({})).await.expect(200);
    }

    /// The namespace's kubeconfig.
    pub async fn kubeconfig(&self, namespace: &Value, plugin: &str) -> String {
        let id = namespace["id"].as_str().unwrap();
        let path = format!("/v1/kubernetes/namespaces/{id}/kubeconfig?plugin={plugin}");
        let answer = self.get(&path).await.expect(200);
        answer["kubeconfig"].as_str().unwrap().to_owned()
    }
}

/// A machine that manages.
#[derive(Debug, Clone)]
pub struct ServiceUser {
    pub id: String,
    pub token: Value,
    /// Itself, who calls with the token.
    pub caller: Person,
}

impl ServiceUser {
    /// Where it stands.
    pub fn path(&self) -> String {
        format!("/v1/account/service-users/{}", self.id)
    }

    /// Where the token stands that it comes with.
    pub fn token_path(&self) -> String {
        format!("{}/tokens/{}", self.path(), self.token_id())
    }

    pub fn token_id(&self) -> &str {
        self.token["id"].as_str().unwrap()
    }
}

/// Somebody who holds an API key.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    pub url: String,
    pub http: Client,
    pub key: String,
    pub item: Value,
}

impl KeyHolder {
    pub fn new(url: &str, item: Value) -> Self {
        Self {
            url: url.to_owned(),
            http: client(),
            key: item["key"].as_str().unwrap().to_owned(),
            item,
        }
    }

    pub fn id(&self) -> &str {
        self.item["id"].as_str().unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url));
        Answer::read(request.header("x-api-key", &self.key).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url));
        Answer::read(request.header("x-api-key", &self.key).send().await.unwrap()).await
    }

    /// Asks for a cluster token.
    pub async fn mint(&self, namespace: &Value) -> Answer {
        let id = namespace["id"].as_str().unwrap();
        self.post(&format!("/v1/kubernetes/namespaces/{id}/exec-credential"))
            .await
    }

    /// A cluster token.
    pub async fn token(&self, namespace: &Value) -> String {
        let minted = self.mint(namespace).await.expect(200);
        minted["status"]["token"].as_str().unwrap().to_owned()
    }
}
