//! `GET /v1/kubernetes/namespaces/{namespace_id}/kubeconfig`

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Person, Server};

async fn get(person: &Person, id: &str, query: &str, accept: &str) -> Answer {
    let path = format!("/v1/kubernetes/namespaces/{id}/kubeconfig{query}");
    let request = person
        .request(reqwest::Method::GET, &path)
        .header("accept", accept);
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_holds_no_secret_and_names_one_of_everything() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let id = namespace["id"].as_str().unwrap();
    let name = namespace["kubernetes_namespace"].as_str().unwrap();

    // X1 [S]
    let answer = get(&person, id, "", "*/*").await;
    let body = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["filename", "kubeconfig", "namespace"]);
    assert_eq!(body["namespace"], name);
    assert_eq!(body["filename"], "kubeconfig-team-ml.yaml");

    // X2 [S], X3, X5
    let yaml = body["kubeconfig"].as_str().unwrap();
    let file: Value = serde_saphyr::from_str(yaml).unwrap();
    let cluster = &file["clusters"][0]["cluster"];
    assert!(
        cluster["server"]
            .as_str()
            .unwrap()
            .starts_with("https://127.0.0.1:")
    );
    assert_eq!(cluster.get("insecure-skip-tls-verify"), None);
    let called = file["clusters"][0]["name"].as_str().unwrap();
    let installation = called.strip_prefix("remotegpu-dev-").unwrap();
    let fits = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
    assert!(
        installation.len() == 6 && installation.chars().all(fits),
        "{called}"
    );
    insta::assert_json_snapshot!("kubeconfig", file, {
        ".clusters[0].name" => insta::dynamic_redaction(masked(installation, "[installation]")),
        ".contexts[0].context.cluster" => insta::dynamic_redaction(masked(installation, "[installation]")),
        ".clusters[0].cluster.server" => "[server]",
        ".clusters[0].cluster[\"certificate-authority-data\"]" => "[ca]",
        ".contexts[0].name" => insta::dynamic_redaction(masked(name, "[kubernetes_namespace]")),
        ".contexts[0].context.namespace" => insta::dynamic_redaction(masked(name, "[kubernetes_namespace]")),
        ".contexts[0].context.user" => insta::dynamic_redaction(masked(name, "[kubernetes_namespace]")),
        ".users[0].name" => insta::dynamic_redaction(masked(name, "[kubernetes_namespace]")),
        ".users[0].user.exec.args" => "[script]",
        ".users[0].user.exec.env" => "[env]",
        "[\"current-context\"]" => insta::dynamic_redaction(masked(name, "[kubernetes_namespace]")),
    });
    let exec_url = format!(
        "{}/v1/kubernetes/namespaces/{id}/exec-credential",
        server.url
    );
    assert!(yaml.contains(&exec_url), "{yaml}");
    assert!(yaml.contains("REMOTEGPU_API_KEY"), "{yaml}");
    for secret in ["rgpu_", "rgse_", "token:", "client-key", "password:"] {
        assert!(!yaml.contains(secret), "X2: {secret} in {yaml}");
    }

    // X4
    let binary = get(&person, id, "?plugin=remotegpu", "application/json")
        .await
        .expect(200);
    let binary: Value = serde_saphyr::from_str(binary["kubeconfig"].as_str().unwrap()).unwrap();
    let exec = &binary["users"][0]["user"]["exec"];
    assert_eq!(exec["command"], "kubectl-remotegpu");
    assert_eq!(exec["args"], json!(["exec-credential", "--url", exec_url]));
    let shell = get(&person, id, "?plugin=shell", "application/json")
        .await
        .expect(200);
    assert_eq!(shell, body, "shell is the default");
    for odd in [
        "?plugin=",
        "?plugin=Shell",
        "?plugin=sh",
        "?plugin=shell&plugin=shell",
    ] {
        let answer = get(&person, id, odd, "*/*").await;
        assert!(
            answer.problem(400, "invalid_field").starts_with("plugin "),
            "{odd}"
        );
    }

    // X1: the bare file.
    let file = get(&person, id, "", "application/yaml").await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), Some("application/yaml"));
    let attachment = "attachment; filename=\"kubeconfig-team-ml.yaml\"";
    assert_eq!(file.header("content-disposition"), Some(attachment));
    assert_eq!(file.text, yaml);
    for accept in ["text/html", "application/json", "nonsense", ""] {
        let answer = get(&person, id, "", accept).await;
        assert_eq!(answer.expect(200), body, "{accept}");
    }

    // X1, N4: the file has today's name, and says what yesterday's said.
    let path = format!("/v1/kubernetes/namespaces/{id}");
    person
        .patch(&path, json!({"name": "team-nlp"}))
        .await
        .expect(200);
    let renamed = get(&person, id, "", "*/*").await.expect(200);
    assert_eq!(renamed["filename"], "kubeconfig-team-nlp.yaml");
    assert_eq!(renamed["kubeconfig"], body["kubeconfig"]);
    assert_eq!(renamed["namespace"], body["namespace"]);
}

/// Puts a word for what has random characters.
fn masked(
    random: &str,
    word: &'static str,
) -> impl Fn(insta::internals::Content, insta::internals::ContentPath<'_>) -> String + use<> {
    let random = random.to_owned();
    move |content, _| content.as_str().unwrap().replace(&random, word)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_url_stands_in_kubeconfigs_whatever_host_was_asked() {
    // C8
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let id = namespace["id"].as_str().unwrap();
    let path = format!("/v1/kubernetes/namespaces/{id}/kubeconfig");
    let request = person
        .request(reqwest::Method::GET, &path)
        .header("host", format!("localhost:{port}"))
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "host=evil.example");
    let answer = Answer::read(request.send().await.unwrap()).await;
    let yaml = answer.expect(200)["kubeconfig"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        yaml.contains(&server.url) && !yaml.contains("evil"),
        "{yaml}"
    );
}
