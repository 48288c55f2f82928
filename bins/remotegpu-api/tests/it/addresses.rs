//! IPv6 addresses, wherever the configuration has an address or a host.

use std::net::TcpListener;

use remotegpu_test_support::left_out::left_out;
use serde_json::json;

use crate::support::{
    Answer, Backend, Kubectl, Server, ServerOptions, client, cluster_client, command,
};

#[tokio::test(flavor = "multi_thread")]
async fn journey_over_ipv6_alone() {
    // R1, C8, X3
    if TcpListener::bind("[::1]:0").is_err() {
        left_out("IPv6");
        return;
    }
    let mut options = ServerOptions::new(Backend::Sqlite)
        .with("extra-hosts", "fd00::5,[fd00::6]:8080")
        .with("trusted-proxies", "::1,fd00::/8");
    options.host = "[::1]";
    let mut server = Server::start_with(options).await;
    assert!(server.url.starts_with("http://[::1]:"));
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    for plugin in ["shell", "remotegpu"] {
        let kubeconfig = person.kubeconfig(&namespace, plugin).await;
        let (_, cluster) = cluster_client(&kubeconfig);
        assert!(cluster.starts_with("https://[::1]:"), "{cluster}");
        assert!(
            kubeconfig.contains(&format!("{}/v1/", server.url)),
            "{kubeconfig}"
        );
        Kubectl::new(&kubeconfig).succeed(&key.key, &["get", "pods"]);
    }
    assert!(server.metrics().await.contains("http_request"));
    for (host, status) in [
        ("[fd00::5]", 401),
        ("[fd00:0::5]:99", 401),
        ("[fd00::6]:8080", 401),
        ("[fd00::6]", 421),
        ("[fd00::7]", 421),
    ] {
        let asked = client().get(format!("{}/v1/auth/session", server.url));
        let answer = Answer::read(asked.header("host", host).send().await.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
    }
    let checked = server.command(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    server.restart().await;
    let kubeconfig = person.kubeconfig(&namespace, "shell").await;
    Kubectl::new(&kubeconfig).succeed(&key.key, &["get", "pods"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn development_cluster_has_a_certificate_for_where_it_listens() {
    // R1
    let mut options = ServerOptions::new(Backend::Sqlite);
    options.host = "127.0.0.2";
    let server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let kubeconfig = person.kubeconfig(&namespace, "shell").await;
    assert!(
        kubeconfig.contains("server: https://127.0.0.2:"),
        "{kubeconfig}"
    );
    Kubectl::new(&kubeconfig).succeed(&key.key, &["get", "pods"]);
    drop(server);

    // Where it has none, the start says what to do.
    let mut plain = Server::start(Backend::Sqlite).await;
    assert!(plain.stop().success());
    let elsewhere = command(&[
        format!("--data-dir={}", plain.path("data").display()),
        "--listen=127.0.0.1:0".to_owned(),
        "--internal-listen=127.0.0.1:0".to_owned(),
        "--dev-cluster-listen=127.0.0.2:0".to_owned(),
    ])
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(!elsewhere.status.success());
    let sentence = "is not for 127.0.0.2: listen on 127.0.0.1 or [::1], or remove that folder";
    assert!(said.contains(sentence), "{said}");
}
