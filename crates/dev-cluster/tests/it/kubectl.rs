//! The real `kubectl`, as it is found on the path.

use std::process::{Command, Stdio};

use crate::actor::{World, items, start};

const MANIFESTS: [&str; 2] = [include_str!("manifests/demo-cpu.yaml"), include_str!("manifests/demo-gpu-full.yaml")];

/// Runs `kubectl` in a home of its own, and gives whether it succeeded and what it wrote.
async fn kubectl(world: &World, input: &str, arguments: &str) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    std::fs::write(&config, world.cluster.admin_kubeconfig()).unwrap();
    let file = home.path().join("input.yaml");
    std::fs::write(&file, input).unwrap();
    let mut command = Command::new("kubectl");
    let arguments = arguments.replace("INPUT", file.to_str().unwrap());
    command.args(arguments.split_whitespace()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", home.path()).env("KUBECONFIG", &config).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Runs `kubectl`, which has to succeed and to write the expected words.
async fn expect(world: &World, input: &str, arguments: &str, words: &[&str]) {
    let (success, text) = kubectl(world, input, arguments).await;
    assert!(success, "kubectl {arguments}: {text}");
    for word in words {
        assert!(text.contains(word), "kubectl {arguments} does not say {word:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_with_the_reference_manifests() {
    let world = start().await;
    expect(&world, "", "version", &["Server Version: v1.33"]).await;
    expect(&world, "", "create namespace team", &["namespace/team created"]).await;
    for (manifest, name) in MANIFESTS.iter().zip(["demo-cpu", "demo-gpu-full"]) {
        let manifest = manifest.replace("YOUR_NAMESPACE", "team");
        expect(&world, &manifest, "apply -f INPUT", &[&format!("deployment.apps/{name} created")]).await;
        expect(&world, &manifest, "apply -f INPUT", &[&format!("deployment.apps/{name} unchanged")]).await;
        let more = manifest.replace("replicas: 1", "replicas: 2");
        expect(&world, &more, "apply -f INPUT", &[&format!("deployment.apps/{name} configured")]).await;
        expect(&world, &more, "apply --server-side --force-conflicts -f INPUT", &["serverside-applied"]).await;
    }
    world.admin.wait("/api/v1/namespaces/team/pods", |_, pods| items(pods).len() == 4).await;
    expect(&world, "", "-n team get pods", &["NAME", "READY", "STATUS", "0/1", "Pending"]).await;
    expect(&world, "", "-n team get deployments -o wide", &["0/2", "nginx:1.27-alpine"]).await;
    expect(&world, "", "-n team describe pods", &["PodScheduled", "Pending"]).await;
    expect(&world, "", "-n team scale deployment/demo-cpu --replicas=1", &["demo-cpu scaled"]).await;
    expect(&world, "", "-n team set image deployment/demo-cpu app=nginx:2", &["image updated"]).await;
    expect(&world, "", "-n team delete deployment demo-cpu", &["deleted"]).await;
    expect(&world, "", "get ns team -o jsonpath={.status.phase}", &["Active"]).await;
    expect(&world, "", "delete namespace team", &["namespace \"team\" deleted"]).await;
    let (success, text) = kubectl(&world, "", "-n team get pods x").await;
    assert!(!success && text.contains("NotFound"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_knows_who_may_do_what() {
    let world = start().await;
    expect(&world, "", "create namespace team", &[]).await;
    expect(&world, "", "auth whoami", &["kubernetes-admin", "system:masters"]).await;
    expect(&world, "", "auth can-i delete pods", &["yes"]).await;
    expect(&world, "", "-n team create serviceaccount bot", &[]).await;
    expect(&world, "", "-n team create role reader --verb=get,list --resource=pods", &[]).await;
    expect(&world, "", "-n team create rolebinding reader --role=reader --serviceaccount=team:bot", &[]).await;
    let bot = "--as=system:serviceaccount:team:bot";
    expect(&world, "", &format!("-n team auth can-i list pods {bot}"), &["yes"]).await;
    let (allowed, text) = kubectl(&world, "", &format!("-n team auth can-i delete pods {bot}")).await;
    assert!(!allowed && text.contains("no"), "{text}");
    let (success, text) = kubectl(&world, "", &format!("-n team get secrets {bot}")).await;
    assert!(!success && text.contains("cannot list resource \"secrets\""), "{text}");
    expect(&world, "", "-n team create token bot --duration=600s", &["eyJ"]).await;
}
