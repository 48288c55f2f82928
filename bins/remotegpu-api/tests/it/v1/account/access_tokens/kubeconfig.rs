//! The kubeconfig of an access token, in the hands of `kubectl`

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATH, TwoClusters, create};
use crate::support::{Answer, Backend, Kubectl, Person, Server, eventually};

/// The answer's file as `kubectl` reads it.
fn view(made: &Value) -> Value {
    let kubectl = Kubectl::new(made["kubeconfig"].as_str().unwrap());
    let read = kubectl.succeed("", &["config", "view", "--raw", "-o", "json"]);
    serde_json::from_str(&read).unwrap()
}

fn contexts(kubectl: &Kubectl) -> Vec<String> {
    let read = kubectl.succeed("", &["config", "get-contexts", "-o", "name"]);
    read.lines().map(str::to_owned).collect()
}

async fn with_names(person: &Person, names: &str, clusters: &[&str]) -> Answer {
    let body = json!({"name": "laptop", "clusters": clusters, "expires_in_seconds": 3600});
    person.post(&format!("{PATH}?names={names}"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_one_cluster_has_the_documented_shape() {
    // T3
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let body = json!({
        "name": "laptop", "clusters": ["dev"], "namespace_id": namespace["id"],
        "expires_in_seconds": 3600,
    });
    let made = person.post(PATH, body).await.expect(201);
    let file = view(&made);
    let one = "__CW_KATALOG_CLUSTER__";
    assert_eq!(file["apiVersion"], "v1");
    assert_eq!(file["kind"], "Config");
    assert_eq!(file["current-context"], one);
    assert_eq!(file["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(file["clusters"][0]["name"], one);
    let cluster = &file["clusters"][0]["cluster"];
    assert!(
        cluster["server"]
            .as_str()
            .unwrap()
            .starts_with("https://127.0.0.1:")
    );
    assert!(cluster["certificate-authority-data"].is_string());
    assert_eq!(cluster.get("insecure-skip-tls-verify"), None);
    let context = json!({
        "cluster": one, "namespace": namespace["kubernetes_namespace"], "user": "token",
    });
    assert_eq!(file["contexts"], json!([{"name": one, "context": context}]));
    let token = json!({"token": made["token"]});
    assert_eq!(file["users"], json!([{"name": "token", "user": token}]));
    // Nothing of a namespace where none was chosen.
    let made = create(&person, "laptop", &["dev"]).await.expect(201);
    let context = json!({"cluster": one, "user": "token"});
    assert_eq!(view(&made)["contexts"][0]["context"], context);
    // Where it is handed out it says who may read it, and what does not merge.
    let text = made["kubeconfig"].as_str().unwrap();
    assert!(
        text.starts_with("# This file holds an access token"),
        "{text}"
    );
    assert!(
        text.contains("chmod 600") && text.contains("?names=unique"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_several_clusters_has_a_context_for_each() {
    // T3
    let two = TwoClusters::start(&[]).await;
    let person = two.server.operator().await;
    let made = create(&person, "laptop", &["ams2", "fra1"])
        .await
        .expect(201);
    let file = view(&made);
    assert_eq!(file["current-context"], "ams2");
    let kubectl = Kubectl::new(made["kubeconfig"].as_str().unwrap());
    assert_eq!(contexts(&kubectl), ["ams2", "fra1"]);
    for context in file["contexts"].as_array().unwrap() {
        assert_eq!(context["context"]["cluster"], context["name"]);
        assert_eq!(context["context"]["user"], "token");
    }
    assert_eq!(file["users"].as_array().unwrap().len(), 1);
    let said = kubectl.succeed("", &["config", "use-context", "fra1"]);
    assert_eq!(said.trim_end(), "Switched to context \"fra1\".");
    let current = kubectl.succeed("", &["config", "current-context"]);
    assert_eq!(current.trim_end(), "fra1");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_names_of_their_own_merge_with_any_other() {
    // T3, X3
    let two = TwoClusters::start(&[]).await;
    let person = two.server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let of_namespace = person.kubeconfig(&namespace, "shell").await;
    let one = with_names(&person, "unique", &["fra1", "ams2"])
        .await
        .expect(201);
    let other = with_names(&person, "unique", &["fra1"]).await.expect(201);
    let reference = with_names(&person, "reference", &["fra1"])
        .await
        .expect(201);
    let folder = tempfile::tempdir().unwrap();
    let files = [
        &of_namespace,
        one["kubeconfig"].as_str().unwrap(),
        other["kubeconfig"].as_str().unwrap(),
        reference["kubeconfig"].as_str().unwrap(),
    ];
    let mut paths = Vec::new();
    for (at, text) in files.iter().enumerate() {
        let path = folder.path().join(at.to_string());
        std::fs::write(&path, text).unwrap();
        paths.push(path.display().to_string());
    }
    let kubectl = Kubectl::new("");
    let merged = kubectl
        .environment(None, "kubectl")
        .env("KUBECONFIG", paths.join(":"))
        .args(["config", "view", "--raw", "-o", "json"])
        .output()
        .unwrap();
    assert!(merged.status.success(), "{merged:?}");
    let merged: Value = serde_json::from_slice(&merged.stdout).unwrap();
    // Nothing of one file has taken the place of another's.
    assert_eq!(merged["contexts"].as_array().unwrap().len(), 5);
    for (made, count) in [(&one, 2), (&other, 1), (&reference, 1)] {
        let token = &made["token"];
        let users = merged["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["user"]["token"] == *token);
        let user = &user.unwrap()["name"];
        let contexts = merged["contexts"].as_array().unwrap().iter();
        let theirs = contexts.filter(|context| context["context"]["user"] == *user);
        assert_eq!(theirs.count(), count);
    }
    // A cluster has one name in all files of its own names, the namespaces' as well.
    let clusters = merged["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 3, "{clusters:?}");
    let id = one["id"].as_str().unwrap();
    assert_eq!(view(&one)["current-context"], format!("{id}-fra1"));
    assert!(
        one["kubeconfig"]
            .as_str()
            .unwrap()
            .contains("merges it with any other")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_s_name_is_safe_and_follows_the_configuration() {
    // T2
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    for (name, safe) in [
        ("laptop", "laptop"),
        ("My Laptop (2)", "My-Laptop-2"),
        ("../../etc/passwd", "etc-passwd"),
        ("数据", "token"),
    ] {
        let made = create(&person, name, &["dev"]).await.expect(201);
        let id = made["id"].as_str().unwrap();
        assert_eq!(made["name"], name);
        assert_eq!(made["filename"], format!("CWKubeconfig_{id}-{safe}"));
    }
    let settings = [
        ("access-token-id-word", "acme"),
        ("access-token-file-word", "Acme.kubeconfig"),
    ];
    let two = TwoClusters::start(&settings).await;
    let person = two.server.operator().await;
    let made = create(&person, "laptop", &["fra1"]).await.expect(201);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("acme-") && id.len() == 15, "{id}");
    assert_eq!(made["filename"], format!("Acme.kubeconfig_{id}-laptop"));
    let path = super::token_path(&made["id"]);
    person.get(&path).await.expect(200);
    person.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_the_member_in_the_cluster_until_the_token_is_deleted() {
    // T1, T4, T6
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let reader = server.colleague(&admin, "ro@example.org", "read").await;
    let namespace = admin.namespace("team-ml").await;
    let body = json!({
        "name": "laptop", "clusters": ["dev"], "namespace_id": namespace["id"],
        "expires_in_seconds": 3600,
    });
    let made = reader.post(PATH, body).await.expect(201);
    let kubectl = Kubectl::new(made["kubeconfig"].as_str().unwrap());
    let who = kubectl.succeed("", &["auth", "whoami", "-o", "json"]);
    let who: Value = serde_json::from_str(&who).unwrap();
    let who = &who["status"]["userInfo"];
    let user = made["created_by"].as_str().unwrap();
    assert_eq!(who["username"], format!("remotegpu:user:{user}"));
    let account = admin.account_id().await;
    let group = format!("remotegpu:account:{account}:read");
    let groups = who["groups"].as_array().unwrap();
    assert!(groups.contains(&json!(group)), "{who}");
    assert!(
        groups
            .iter()
            .all(|known| { *known == json!(group) || *known == json!("system:authenticated") })
    );
    assert_eq!(
        who["extra"]["remotegpu.ai/access-token"],
        json!([made["id"]])
    );
    // In the namespace that was chosen, what the role allows.
    let can = |verb: &str, what: &str| {
        let output = kubectl.run("", &["auth", "can-i", verb, what]);
        String::from_utf8(output.stdout).unwrap().trim() == "yes"
    };
    assert!(can("list", "pods") && !can("create", "pods") && !can("get", "secrets"));
    let path = super::token_path(&made["id"]);
    eventually("its use is noted", Duration::from_secs(20), async || {
        admin.get(&path).await.expect(200)["last_used_at"].is_string()
    })
    .await;
    admin.delete(&path).await.expect(204);
    eventually("it is refused", Duration::from_secs(15), async || {
        let output = kubectl.run("", &["get", "pods"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let words = ["provide credentials", "Unauthorized"];
        !output.status.success() && words.iter().any(|word| said.contains(word))
    })
    .await;
}
