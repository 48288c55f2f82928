//! A release server that speaks TLS, and what the system says of it.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::slow_clients::Target;

const PASSWORD: &str = "bench-Operator-Password-1";

pub struct Server {
    pub url: String,
    folder: TempDir,
    child: Child,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub files: usize,
    pub resident_kib: usize,
}

impl Held {
    pub fn max(self, other: Self) -> Self {
        Self {
            files: self.files.max(other.files),
            resident_kib: self.resident_kib.max(other.resident_kib),
        }
    }
}

/// A client that takes the certificate that was made for this run.
pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .http1_only()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let cert = write("tls.crt", &made.cert.pem());
        let key = write("tls.key", &made.signing_key.serialize_pem());
        let password = write("password", PASSWORD);
        let [port, internal, dev] = free_ports();
        let child = Command::new(env!("CARGO_BIN_EXE_remotegpu-api"))
            .env_clear()
            .args([
                format!("--listen=127.0.0.1:{port}"),
                format!("--internal-listen=127.0.0.1:{internal}"),
                format!("--dev-cluster-listen=127.0.0.1:{dev}"),
                format!("--data-dir={}", folder.path().join("data").display()),
                format!("--tls-cert={cert}"),
                format!("--tls-key={key}"),
                format!("--initial-admin-password-file={password}"),
                "--log=warn".to_owned(),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("https://127.0.0.1:{port}");
        let server = Self { url, folder, child };
        let (http, readyz) = (client(), format!("{}/readyz", server.url));
        for _ in 0..500 {
            if http
                .get(&readyz)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server is not ready");
    }

    /// A key of the operator's account.
    pub async fn key(&self) -> String {
        let http = client();
        let body = json!({"email": "admin@localhost", "password": PASSWORD, "cookie": false});
        let signed_in = self.post(&http, "/v1/auth/sign-in", None, body).await;
        let session = signed_in["access_token"].as_str().unwrap();
        let body = json!({"name": "bench", "scopes": {"all": true}});
        let made = self
            .post(&http, "/v1/account/api-keys", Some(session), body)
            .await;
        made["key"].as_str().unwrap().to_owned()
    }

    async fn post(&self, http: &Client, path: &str, session: Option<&str>, body: Value) -> Value {
        let request = http.post(format!("{}{path}", self.url)).json(&body);
        let request = match session {
            Some(session) => request.bearer_auth(session),
            None => request,
        };
        request.send().await.unwrap().json().await.unwrap()
    }

    pub fn target(&self) -> Target {
        let address = self.url.trim_start_matches("https://");
        Target {
            address: address.parse().unwrap(),
            encrypted: true,
        }
    }

    pub fn held(&self) -> Held {
        let folder = Path::new("/proc").join(self.child.id().to_string());
        let status = std::fs::read_to_string(folder.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.unwrap().trim().trim_end_matches(" kB");
        Held {
            files: std::fs::read_dir(folder.join("fd")).unwrap().count(),
            resident_kib: resident.parse().unwrap(),
        }
    }

    /// Ends the process before its folder goes.
    pub fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.folder.close().unwrap();
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
