//! The cluster behind a kubeconfig, and what is applied to it.

use std::path::Path;

use reqwest::{Certificate, Client};
use serde_json::Value;

/// A client that trusts the kubeconfig's cluster and brings no credential, and
/// the URL of that cluster.
pub fn cluster_client(kubeconfig: &str) -> (Client, String) {
    let document: Value = serde_saphyr::from_str(kubeconfig).unwrap();
    let cluster = &document["clusters"][0]["cluster"];
    let ca = cluster["certificate-authority-data"].as_str().unwrap();
    let ca = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, ca).unwrap();
    let client = Client::builder()
        .no_proxy()
        // An API server goes away from an HTTP/2 connection on which it answered 401,
        // and with it go the requests that are under way.
        .http1_only()
        .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
        .build()
        .unwrap();
    (client, cluster["server"].as_str().unwrap().to_owned())
}

/// The pods of a namespace, as the cluster shows them to whoever brings a token.
#[derive(Debug, Clone)]
pub struct Pods {
    client: Client,
    url: String,
}

impl Pods {
    /// Those of this namespace in the kubeconfig's cluster.
    pub fn of(kubeconfig: &str, namespace: &Value) -> Self {
        let (client, url) = cluster_client(kubeconfig);
        let name = namespace["kubernetes_namespace"].as_str().unwrap();
        let url = format!("{url}/api/v1/namespaces/{name}/pods");
        Self { client, url }
    }

    /// What the cluster answers to this token.
    pub async fn status(&self, token: &str) -> u16 {
        let asked = self.client.get(&self.url).bearer_auth(token);
        asked.send().await.unwrap().status().as_u16()
    }

    /// Whether the cluster lets this token in.
    pub async fn open(&self, token: &str) -> bool {
        let status = self.status(token).await;
        assert!([200, 401, 403].contains(&status), "{status}");
        status == 200
    }
}

/// The two manifests of the reference.
#[derive(Debug, Clone, Copy)]
pub enum Workload {
    Cpu,
    Gpu,
}

impl Workload {
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Gpu];

    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "demo-cpu.yaml",
            Self::Gpu => "demo-gpu-full.yaml",
        }
    }

    /// The manifest for this namespace.
    pub fn text(self, namespace: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
        let text = std::fs::read_to_string(folder.join(self.name())).unwrap();
        text.replace("YOUR_NAMESPACE", namespace)
    }
}
