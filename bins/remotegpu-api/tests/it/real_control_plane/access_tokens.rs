//! Access tokens before a real API server, which asks who they are (contract T4, T6).

use std::{path::Path, pin::Pin, sync::Arc, time::Duration};

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use remotegpu_test_support::postgres::TestPostgres;
use serde_json::{Value, json};

use super::Cluster;
use crate::support::{
    Asking, Backend, Kubectl, Person, Server, ServerOptions, Webhook, command, eventually,
};

/// The API server keeps an answer for ten seconds.
const SOON: Duration = Duration::from_secs(15);

/// Another cluster, whose API server asks over the network as a real one does.
async fn asking_cluster(folder: &Path, asking: Asking) -> DevCluster {
    let hook = move |review: Value| -> Pin<Box<dyn Future<Output = Value> + Send>> {
        let asking = asking.clone();
        Box::pin(async move {
            match asking.send(review.to_string()).await {
                (status, answer) if status == 200 => answer,
                (_, answer) => json!({"status": {"error": answer["message"]}}),
            }
        })
    };
    let config = DevClusterConfig::new("127.0.0.1:0".parse().unwrap(), folder);
    let cluster = DevCluster::start(config, None).await.unwrap();
    cluster.ask_about_tokens(Arc::new(hook));
    let admin = cluster.admin_kubeconfig();
    remotegpu_cluster::apply_prerequisites(&admin)
        .await
        .unwrap();
    cluster
}

/// What a kubectl that holds the token's kubeconfig is told.
struct Holder {
    kubectl: Kubectl,
    namespaces: Vec<(&'static str, String)>,
}

impl Holder {
    fn namespace(&self, context: &str) -> &str {
        let mut all = self.namespaces.iter();
        &all.find(|(name, _)| *name == context).unwrap().1
    }

    fn ask(&self, context: &str, arguments: &[&str]) -> std::process::Output {
        let named = ["--context", context, "-n", self.namespace(context)];
        let all = [&named, arguments].concat();
        self.kubectl.command(None, &all).output().unwrap()
    }

    fn sees_pods(&self, context: &str) -> bool {
        let output = self.ask(context, &["get", "pods"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let out = said.contains("Unauthorized") || said.contains("must be logged in");
        assert!(output.status.success() || out, "{context}: {output:?}");
        output.status.success()
    }

    /// Whether they may do so, by `kubectl auth can-i --list`.
    fn rights(&self, context: &str) -> String {
        let output = self.ask(context, &["auth", "can-i", "--list", "--no-headers"]);
        String::from_utf8(output.stdout).unwrap()
    }

    fn may_see_secrets(&self, context: &str) -> bool {
        let rights = self.rights(context);
        assert!(
            rights.lines().any(|line| line.starts_with("pods ")),
            "{rights}"
        );
        rights.lines().any(|line| line.starts_with("secrets "))
    }
}

async fn token(person: &Person, clusters: &[&str]) -> (String, Value) {
    let body = json!({"name": "laptop", "clusters": clusters, "expires_in_seconds": 3600});
    let made = person
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    (made["id"].as_str().unwrap().to_owned(), made)
}

fn holder(made: &Value, namespaces: &[(&'static str, Value)]) -> Holder {
    let names = namespaces.iter().map(|(cluster, namespace)| {
        let name = namespace["kubernetes_namespace"].as_str().unwrap();
        (*cluster, name.to_owned())
    });
    Holder {
        kubectl: Kubectl::new(made["kubeconfig"].as_str().unwrap()),
        namespaces: names.collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_opens_its_clusters_as_its_holder_may_and_no_other() {
    // T1, T4, T6
    let database = TestPostgres::shared().unwrap().create_database().unwrap();
    let (webhook, folder) = (Webhook::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let kubeconfigs = ["a", "b", "c"].map(|name| path(name).display().to_string());
    let [a, b, c] = &kubeconfigs;
    let mut settings = vec![
        ("clusters", format!("a={a},b={b},c={c}")),
        ("database-url", database.url()),
    ];
    settings.extend(webhook.settings());
    let run = |arguments: &[&str]| {
        let mut all: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        all.extend(
            settings
                .iter()
                .map(|(flag, value)| format!("--{flag}={value}")),
        );
        command(&all).output().unwrap()
    };
    assert!(run(&["migrate"]).status.success());
    let of = |name: &str| run(&["cluster", "manifest", "--token-webhook", name]);

    // The clusters are there first, and ask a server that is not.
    let config = String::from_utf8(of("a").stdout).unwrap();
    let Some(real) = Cluster::asking(&config).await else {
        return;
    };
    std::fs::copy(real.kubeconfig(), a).unwrap();
    let mut others = Vec::new();
    for (name, kubeconfig) in [("b", b), ("c", c)] {
        let data = path(&format!("{name}-data"));
        let cluster = asking_cluster(&data, Asking::read(&of(name))).await;
        let admin = cluster.admin_kubeconfig();
        let own = remotegpu_cluster::control_plane_kubeconfig(&admin).await;
        std::fs::write(kubeconfig, own.unwrap()).unwrap();
        others.push(cluster);
    }
    let mut options = ServerOptions::new(Backend::Sqlite);
    for (flag, value) in settings.clone() {
        options = options.with(flag, value);
    }
    let server = Server::start_with(options).await;
    let ada = server.operator().await;
    let mut namespaces = Vec::new();
    for cluster in ["a", "b", "c"] {
        let body = json!({"name": format!("team-{cluster}"), "cluster": cluster});
        let made = ada
            .post("/v1/kubernetes/namespaces", body)
            .await
            .expect(201);
        namespaces.push((cluster, made));
    }

    // In both, and in no third.
    let (id, made) = token(&ada, &["a", "b"]).await;
    let first = holder(&made, &namespaces);
    let contexts = first
        .kubectl
        .command(None, &["config", "get-contexts", "-o", "name"]);
    let contexts = String::from_utf8({ contexts }.output().unwrap().stdout).unwrap();
    assert_eq!(contexts.lines().collect::<Vec<_>>(), ["a", "b"]);
    for context in ["a", "b"] {
        assert!(first.sees_pods(context), "{context}");
        assert!(first.may_see_secrets(context), "{context}");
    }
    // The same token, shown to the third.
    let third = reqwest_status(
        &others[1],
        &namespaces[2].1,
        made["token"].as_str().unwrap(),
    );
    assert_eq!(third.await, 401);

    // What a member may follows their role.
    let eve = server.colleague(&ada, "eve@example.org", "write").await;
    let (_, of_eve) = token(&eve, &["a", "b"]).await;
    let hers = holder(&of_eve, &namespaces);
    let database = &database;
    let set = |role: &str| {
        let user = "(SELECT id FROM users WHERE email = 'eve@example.org')";
        let set = format!("UPDATE memberships SET role = '{role}' WHERE user_id = {user}");
        database.query(&set).unwrap();
    };
    for (role, sees) in [("write", true), ("read", false), ("admin", true)] {
        set(role);
        for context in ["a", "b"] {
            let what = format!("{role} shows in {context}");
            eventually(&what, SOON, async || hers.may_see_secrets(context) == sees).await;
            let rights = hers.rights(context);
            let written = rights
                .lines()
                .any(|line| line.starts_with("deployments.apps ") && line.contains("create"));
            assert_eq!(written, sees, "{rights}");
            assert!(!rights.contains("rolebindings"), "{rights}");
        }
    }

    // Out within 15 seconds.
    let path = format!("/v1/account/access-tokens/{id}");
    ada.delete(&path).await.expect(204);
    for context in ["a", "b"] {
        let out = async || !first.sees_pods(context);
        eventually("the deleted token is out", SOON, out).await;
    }
    for context in ["a", "b"] {
        assert!(hers.sees_pods(context), "hers is another");
    }
    let eve_id = eve.get("/v1/auth/session").await.expect(200);
    let eve_id = eve_id["user"]["id"].as_str().unwrap();
    let removed = format!("DELETE FROM memberships WHERE user_id = '{eve_id}'");
    database.query(&removed).unwrap();
    for context in ["a", "b"] {
        let out = async || !hers.sees_pods(context);
        eventually("the removed member is out", SOON, out).await;
    }
    for cluster in others {
        cluster.stop().await;
    }
}

/// What the cluster answers to this token.
async fn reqwest_status(cluster: &DevCluster, namespace: &Value, token: &str) -> u16 {
    let pods = crate::support::Pods::of(&cluster.admin_kubeconfig(), namespace);
    pods.status(token).await
}
