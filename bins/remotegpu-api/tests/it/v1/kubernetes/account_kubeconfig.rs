//! `GET /v1/kubernetes/kubeconfig`

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Kubectl, Person, Server, ServerOptions, foreign_cluster};

const PATH: &str = "/v1/kubernetes/kubeconfig";

async fn namespace_in(person: &Person, cluster: &str, name: &str) -> Value {
    let body = json!({"name": name, "cluster": cluster});
    let made = person.post("/v1/kubernetes/namespaces", body).await;
    let made = made.expect(201);
    assert_eq!(made["status"], "active", "{made}");
    made
}

fn in_cluster(namespace: &Value) -> &str {
    namespace["kubernetes_namespace"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_opens_all_namespaces_of_all_clusters_and_merges_with_others() {
    // T7, X3
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (_us, us) = foreign_cluster(folders[0].path()).await;
    let (_eu, eu) = foreign_cluster(folders[1].path()).await;
    let clusters = format!("us={},eu={}", us.display(), eu.display());
    let options = ServerOptions::new(Backend::Sqlite).with("clusters", clusters);
    let server = Server::start_with(options).await;
    let ada = Person::sign_up(&server.url, "ada").await;

    // Nothing to open: a sentence, and no file that leads nowhere.
    let nothing = ada.get(PATH).await;
    let said = nothing.problem(409, "namespace_not_ready");
    assert_eq!(said, "The account has no namespace that is ready");

    let first = namespace_in(&ada, "us", "team-ml").await;
    let second = namespace_in(&ada, "eu", "batch").await;
    let third = namespace_in(&ada, "us", "web").await;
    let gone = namespace_in(&ada, "eu", "gone").await;
    let gone = format!("/v1/kubernetes/namespaces/{}", gone["id"].as_str().unwrap());
    ada.delete(&gone).await.expect(202);
    let bob = Person::sign_up(&server.url, "bob").await;
    let foreign = bob.namespace("team-ml").await;

    let answer = ada.get(PATH).await;
    let body = answer.expect(200);
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["filename", "kubeconfig", "namespaces"]);
    assert_eq!(body["filename"], "kubeconfig-ada.yaml");
    let names = [&first, &second, &third].map(in_cluster);
    assert_eq!(body["namespaces"], json!(names), "the oldest first");
    let yaml = body["kubeconfig"].as_str().unwrap();
    assert!(!yaml.contains(in_cluster(&foreign)), "{yaml}");
    for secret in ["rgpu_", "rgse_", "token:", "client-key", "password:"] {
        assert!(!yaml.contains(secret), "X2: {secret} in {yaml}");
    }
    let file: Value = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!(file["clusters"].as_array().unwrap().len(), 2);
    assert_eq!(
        file["current-context"],
        format!("remotegpu-{}", in_cluster(&first))
    );

    // X1: with the other plugin, and bare.
    let other = ada
        .get(&format!("{PATH}?plugin=remotegpu"))
        .await
        .expect(200);
    let other = other["kubeconfig"].as_str().unwrap().to_owned();
    assert!(other.contains("command: kubectl-remotegpu"), "{other}");
    let odd = ada.get(&format!("{PATH}?plugin=sh")).await;
    odd.problem(400, "invalid_field");
    let bare = ada.request(reqwest::Method::GET, PATH);
    let bare = bare.header("accept", "application/yaml").send().await;
    let bare = Answer::read(bare.unwrap()).await;
    assert_eq!(bare.header("content-type"), Some("application/yaml"));
    let attachment = "attachment; filename=\"kubeconfig-ada.yaml\"";
    assert_eq!(bare.header("content-disposition"), Some(attachment));
    assert_eq!(bare.text, yaml);

    // With the file of one namespace, and one of another account, merged by kubectl.
    let his = bob.kubeconfig(&foreign, "shell").await;
    let hers = ada.kubeconfig(&second, "shell").await;
    let texts = [his.as_str(), hers.as_str(), yaml];
    let paths = [0, 1, 2].map(|place| server.path(&format!("{place}.yaml")));
    for (path, text) in paths.iter().zip(texts) {
        std::fs::write(path, text).unwrap();
    }
    let merged = std::env::join_paths(&paths).unwrap();
    let key = ada.key(json!({"all": true})).await;
    let surroundings = Kubectl::new("");
    let run = |arguments: &[&str]| {
        let mut command = surroundings.environment(Some(&key.key), "kubectl");
        let output = command.env("KUBECONFIG", &merged).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let contexts = run(&["config", "get-contexts", "--output", "name"]);
    assert_eq!(contexts.lines().count(), 4, "{contexts}");
    for name in names {
        let context = format!("remotegpu-{name}");
        run(&["config", "use-context", &context]);
        run(&["create", "configmap", "mine"]);
        let found = run(&["get", "namespace", name, "--output", "name"]);
        assert_eq!(found, format!("namespace/{name}\n"));
    }
}
