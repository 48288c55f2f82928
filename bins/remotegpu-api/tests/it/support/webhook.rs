//! A server that clusters may ask who a token is.

use std::{path::PathBuf, process::Output};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Backend, Server, ServerOptions, client, free_port};

/// What a server is told of its listener for clusters, with a certificate of its own.
pub struct Webhook {
    folder: TempDir,
    port: u16,
}

impl Webhook {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join("tls.key"), key).unwrap();
        let port = free_port();
        Self { folder, port }
    }

    /// The settings, as flags without dashes.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("webhook-listen", format!("127.0.0.1:{}", self.port)),
            ("webhook-tls-cert", file("tls.crt")),
            ("webhook-tls-key", file("tls.key")),
        ]
    }

    /// A server with these clusters, which nobody has to reach.
    pub fn options(&self, backend: Backend, clusters: &[&str]) -> ServerOptions {
        let clusters = clusters
            .iter()
            .map(|name| format!("{name}={}", self.nowhere().display()));
        let clusters: Vec<String> = clusters.collect();
        let mut options = ServerOptions::new(backend).with("clusters", clusters.join(","));
        for (flag, value) in self.settings() {
            options = options.with(flag, value);
        }
        options
    }

    /// The kubeconfig of a cluster that does not answer.
    fn nowhere(&self) -> PathBuf {
        let path = self.folder.path().join("nowhere.kubeconfig");
        let ca = std::fs::read(self.folder.path().join("tls.crt")).unwrap();
        let document = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "nowhere", "cluster": {
                "server": "https://127.0.0.1:1",
                "certificate-authority-data": STANDARD.encode(ca),
            }}],
            "users": [{"name": "nobody", "user": {"token": "none"}}],
            "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
            "current-context": "nowhere",
        });
        std::fs::write(&path, document.to_string()).unwrap();
        path
    }
}

/// What a cluster's API server knows: where it asks, and by what it is known.
#[derive(Clone)]
pub struct Asking {
    pub http: Client,
    pub url: String,
    pub credential: String,
}

impl Asking {
    /// What the operator hands to the administrator of the cluster.
    pub fn of(server: &Server, cluster: &str) -> Self {
        Self::read(&server.command(&["cluster", "manifest", "--token-webhook", cluster]))
    }

    /// The same of what the command printed.
    pub fn read(printed: &Output) -> Self {
        assert!(printed.status.success(), "{printed:?}");
        let file: Value = serde_saphyr::from_slice(&printed.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            http: client(),
            url: text(&file["clusters"][0]["cluster"]["server"]),
            credential: text(&file["users"][0]["user"]["token"]),
        }
    }

    /// The same, which asks another instance.
    pub fn at(&self, server: &Server) -> Self {
        let (_, path) = self.url.split_once("/webhooks/").unwrap();
        Self {
            url: format!("{}/webhooks/{path}", server.webhook_url()),
            ..self.clone()
        }
    }

    pub fn review(token: &str, audiences: &[&str]) -> Value {
        json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": null},
            "spec": {"token": token, "audiences": audiences},
            "status": {"user": {}},
        })
    }

    pub async fn send(&self, body: String) -> (StatusCode, Value) {
        let asked = self.http.post(&self.url).bearer_auth(&self.credential);
        let asked = asked.header("content-type", "application/json").body(body);
        let answer = asked.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}
