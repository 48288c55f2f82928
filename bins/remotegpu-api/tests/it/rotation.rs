//! Certificates, keys and kubeconfigs that are renewed under a running server.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use remotegpu_dev_cluster::DevCluster;
use reqwest::{Client, redirect::Policy, tls::TlsInfo};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Backend, Person, Server, ServerOptions, client, eventually, foreign_cluster};

/// How soon a change counts: it is looked for every two seconds, and has to be seen twice.
const SOON: Duration = Duration::from_secs(15);
/// Longer than the server takes to see a change, on a machine that is busy.
const LOOKED: Duration = Duration::from_secs(8);

fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

fn tls_client(kept: usize) -> Client {
    let _ = client();
    Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .pool_max_idle_per_host(kept)
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// The certificate that the server shows on this client's connection.
async fn shown(http: &Client, server: &Server) -> Vec<u8> {
    let answer = http.get(format!("{}/livez", server.url)).send().await;
    let answer = answer.unwrap();
    let tls = answer.extensions().get::<TlsInfo>().unwrap();
    let shown = tls.peer_certificate().unwrap().to_vec();
    assert!(answer.text().await.unwrap().contains("ok"));
    shown
}

/// The certificate that is shown to who was never here: who comes again may go on with
/// what the first time was agreed, and is shown none.
async fn shown_to_another(server: &Server) -> Vec<u8> {
    shown(&tls_client(0), server).await
}

fn times(server: &Server, sentence: &str) -> usize {
    server.log().matches(sentence).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_with_its_own_key() {
    // A7
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).encrypted()).await;
    let kept = tls_client(1);
    let first = shown(&kept, &server).await;
    assert_eq!(shown_to_another(&server).await, first);

    // A new certificate with the old key is none.
    let second = pair();
    let (cert, key) = (server.path("tls.crt"), server.path("tls.key"));
    std::fs::write(&cert, second.cert.pem()).unwrap();
    let told = "is no pair; the one of before goes on";
    eventually("it is told", SOON, async || times(&server, told) > 0).await;
    tokio::time::sleep(LOOKED).await;
    assert_eq!(times(&server, told), 1, "{}", server.log());
    assert_eq!(shown_to_another(&server).await, first);
    std::fs::write(&key, second.signing_key.serialize_pem()).unwrap();
    let second = second.cert.der().to_vec();
    eventually("the second is shown", SOON, async || {
        shown_to_another(&server).await == second
    })
    .await;
    // Who was connected goes on.
    assert_eq!(shown(&kept, &server).await, first);

    // As a mounted secret changes: both files are links through a link that is replaced.
    let third = pair();
    let folder = server.path("..third");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("tls.crt"), third.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), third.signing_key.serialize_pem()).unwrap();
    symlink(&folder, server.path("..data")).unwrap();
    for (file, name) in [(&cert, "tls.crt"), (&key, "tls.key")] {
        let link = server.path("link");
        symlink(Path::new("..data").join(name), &link).unwrap();
        std::fs::rename(&link, file).unwrap();
    }
    let third = third.cert.der().to_vec();
    eventually("the third is shown", SOON, async || {
        shown_to_another(&server).await == third
    })
    .await;
}

/// A server, and a cluster that it knows from a kubeconfig.
struct Scene {
    server: Server,
    cluster: DevCluster,
    person: Person,
    /// The kubeconfig's file, and what would be right in it.
    path: PathBuf,
    right: Value,
    _folder: TempDir,
}

impl Scene {
    /// The server starts with what `change` makes of the right kubeconfig.
    async fn start(change: impl FnOnce(&mut Value, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, path) = foreign_cluster(folder.path()).await;
        let mut right: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut right, folder.path());
        std::fs::write(&path, right.to_string()).unwrap();
        let clusters = format!("eu={}", path.display());
        let options = ServerOptions::new(Backend::Sqlite).with("clusters", clusters);
        let server = Server::start_with(options).await;
        let person = server.operator().await;
        Self {
            server,
            cluster,
            person,
            path,
            right,
            _folder: folder,
        }
    }

    /// By a new file in the place of the old one.
    fn write(&self, change: impl FnOnce(&mut Value)) {
        let mut changed = self.right.clone();
        change(&mut changed);
        let new = self.path.with_extension("new");
        std::fs::write(&new, changed.to_string()).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }

    async fn until(&self, wanted: &str) {
        eventually(wanted, SOON, async || self.status().await == wanted).await;
    }

    async fn status(&self) -> Value {
        let clusters = self.person.get("/v1/kubernetes/clusters").await.expect(200);
        clusters["items"][0]["status"].clone()
    }

    /// The cluster, as a kubeconfig of a namespace shows it to customers.
    async fn shown(&self, namespace: &Value) -> Value {
        let path = format!(
            "/v1/kubernetes/namespaces/{}/kubeconfig",
            namespace["id"].as_str().unwrap()
        );
        let file = self.person.get(&path).await.expect(200);
        let file: Value = serde_saphyr::from_str(file["kubeconfig"].as_str().unwrap()).unwrap();
        file["clusters"][0]["cluster"].clone()
    }
}

fn cluster_of(kubeconfig: &mut Value) -> &mut Value {
    &mut kubeconfig["clusters"][0]["cluster"]
}

const CA_DATA: &str = "certificate-authority-data";

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_authority_of_a_cluster_counts_and_another_server_does_not() {
    // R2
    let other = STANDARD.encode(pair().cert.pem());
    let scene = Scene::start(|_, _| {}).await;
    let (key, namespace) = (
        scene.person.key(json!({"all": true})).await,
        scene.person.namespace("team-ml").await,
    );
    key.mint(&namespace).await.expect(200);
    let mut right = scene.right.clone();
    let right = cluster_of(&mut right).clone();
    assert_eq!(scene.shown(&namespace).await[CA_DATA], right[CA_DATA]);

    // Whoever is named now is believed, and nobody else.
    scene.write(|changed| cluster_of(changed)[CA_DATA] = other.clone().into());
    scene.until("unavailable").await;
    assert_eq!(scene.shown(&namespace).await[CA_DATA], other);
    scene.write(|_| {});
    scene.until("available").await;
    key.mint(&namespace).await.expect(200);
    assert_eq!(scene.shown(&namespace).await[CA_DATA], right[CA_DATA]);

    // Another server may be another cluster.
    scene.write(|changed| cluster_of(changed)["server"] = "https://127.0.0.1:1".into());
    let told = "names another server";
    eventually("it is told", SOON, async || times(&scene.server, told) > 0).await;
    tokio::time::sleep(LOOKED).await;
    assert_eq!(times(&scene.server, told), 1, "{}", scene.server.log());
    assert_eq!(scene.status().await, "available");
    key.mint(&namespace).await.expect(200);
    assert_eq!(scene.shown(&namespace).await["server"], right["server"]);

    // Nor is what nobody can read.
    std::fs::write(&scene.path, "{").unwrap();
    let told = "cannot be used; those of before go on";
    eventually("it is told", SOON, async || times(&scene.server, told) > 0).await;
    assert_eq!(scene.status().await, "available");
    key.mint(&namespace).await.expect(200);
    scene.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_a_cluster_is_taken_with_its_own_key() {
    // R2
    let write = |folder: &Path, names: &[&str], made: &CertifiedKey<KeyPair>| {
        for name in names {
            let text = match *name {
                "client.crt" => made.cert.pem(),
                _ => made.signing_key.serialize_pem(),
            };
            std::fs::write(folder.join(name), text).unwrap();
        }
    };
    let scene = Scene::start(|kubeconfig, folder| {
        write(folder, &["client.crt", "client.key"], &pair());
        // The development cluster asks for none, and knows the token.
        let user = &mut kubeconfig["users"][0]["user"];
        user["client-certificate"] = folder.join("client.crt").to_str().unwrap().into();
        user["client-key"] = folder.join("client.key").to_str().unwrap().into();
    })
    .await;
    scene.until("available").await;
    let folder = scene.path.parent().unwrap();
    let second = pair();
    write(folder, &["client.crt"], &second);
    let told = "cannot be used; those of before go on";
    eventually("it is told", SOON, async || times(&scene.server, told) > 0).await;
    tokio::time::sleep(LOOKED).await;
    assert_eq!(times(&scene.server, told), 1, "{}", scene.server.log());
    assert_eq!(scene.status().await, "available");
    write(folder, &["client.key"], &second);
    let taken = "is asked with its changed files from now on";
    eventually("it is taken", SOON, async || {
        times(&scene.server, taken) > 0
    })
    .await;
    scene.until("available").await;
    scene.cluster.stop().await;
}
