//! A tenant installs a chart with Helm.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use remotegpu_test_support::left_out::left_out;
use serde_json::{Value, json};

use crate::support::{Backend, Kubectl, Server, eventually};

/// Whether there is a Helm 4. Where there is none, the test is left out.
pub fn is_there() -> bool {
    let version = Command::new("helm")
        .args(["version", "--template={{.Version}}"])
        .stderr(Stdio::null())
        .output();
    let is_there = version.is_ok_and(|version| version.stdout.starts_with(b"v4."));
    if !is_there {
        left_out("Helm 4");
    }
    is_there
}

/// Install, list, upgrade, history and uninstall, with the kubeconfig that the API hands out.
pub async fn journey(server: &Server) {
    let person = server.operator().await;
    let namespace = person.namespace("charts").await;
    let scopes = json!({"kubernetes_exec": {"namespace_ids": [namespace["id"]]}});
    let key = person.key(scopes).await;
    let kubectl = Kubectl::new(&person.kubeconfig(&namespace, "shell").await);
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/helm/chart");
    let chart = chart.to_str().unwrap();
    let helm = |arguments: &[&str]| {
        let mut command = kubectl.environment(Some(&key.key), "helm");
        let kubeconfig = kubectl.kubeconfig().to_str().unwrap();
        command.args(["--kubeconfig", kubeconfig]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "helm {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();

    helm(&["install", "greeter", chart]);
    let listed = read(helm(&["list", "--output=json"]));
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["name"], "greeter", "{listed}");
    assert_eq!(listed[0]["status"], "deployed", "{listed}");
    assert_eq!(listed[0]["namespace"], namespace["kubernetes_namespace"]);
    let greeting = || {
        let query = [
            "get",
            "configmap",
            "greeter",
            "-o",
            "jsonpath={.data.greeting}",
        ];
        kubectl.succeed(&key.key, &query)
    };
    let replicas = || {
        let query = [
            "get",
            "deployment",
            "greeter",
            "-o",
            "jsonpath={.spec.replicas}",
        ];
        kubectl.succeed(&key.key, &query)
    };
    assert_eq!((greeting(), replicas()), ("hello".into(), "1".into()));

    helm(&[
        "upgrade",
        "greeter",
        chart,
        "--set=greeting=welcome,replicas=2",
    ]);
    assert_eq!((greeting(), replicas()), ("welcome".into(), "2".into()));
    let history = read(helm(&["history", "greeter", "--output=json"]));
    let statuses: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["superseded", "deployed"], "{history}");
    helm(&["rollback", "greeter", "1"]);
    assert_eq!((greeting(), replicas()), ("hello".into(), "1".into()));

    helm(&["uninstall", "greeter"]);
    assert_eq!(read(helm(&["list", "--output=json"])), json!([]));
    eventually(
        "nothing is left of it",
        Duration::from_secs(30),
        async || {
            let kinds = "deployments,replicasets,pods,services,configmaps,secrets";
            let query = ["get", kinds, "-o", "name"];
            let left = kubectl.succeed(&key.key, &query);
            left.lines()
                .all(|name| name == "configmap/kube-root-ca.crt")
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_helm_on_the_development_cluster() {
    if is_there() {
        journey(&Server::start(Backend::Sqlite).await).await;
    }
}
