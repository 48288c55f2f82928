//! Every answer's media type is one that Go's `mime.ParseMediaType` takes: `Answer::read` judges
//! those of all tests, and here is where they come from.

use std::collections::BTreeSet;

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{Answer, Backend, Server, cluster_client, foreign_cluster, media_type_fault};

/// What clients of Kubernetes ask for: `kubectl` old and new, client-go, and Helm.
const ACCEPTS: [&str; 7] = [
    "application/json",
    "*/*",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
    "application/vnd.kubernetes.protobuf,application/json",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

#[tokio::test(flavor = "multi_thread")]
async fn media_types_of_the_server_are_read_by_go() {
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let id = namespace["id"].as_str().unwrap();
    let page = get(&person.http, &format!("{}/docs/", server.url), "*/*").await;
    let files = ["src=\"", "href=\""].map(|attribute| {
        let parts = page.text.split(attribute).skip(1);
        parts.filter_map(|part| part.split('"').next())
    });
    let files: Vec<_> = files.into_iter().flatten().collect();
    assert!(files.len() > 3, "{files:?}");
    let mut seen = BTreeSet::new();
    let mut urls: Vec<_> = files
        .iter()
        .map(|file| format!("{}/docs/{}", server.url, file.trim_start_matches("./")))
        .collect();
    for path in [
        "/livez",
        "/readyz",
        "/docs",
        "/docs/",
        "/docs/none",
        "/openapi.json",
        "/",
        "/v1",
    ] {
        urls.push(format!("{}{path}", server.url));
    }
    for path in ["/livez", "/readyz", "/metrics", "/none"] {
        urls.push(format!("{}{path}", server.internal_url));
    }
    for url in urls {
        let answer = get(&person.http, &url, "*/*").await;
        seen.extend(answer.header("content-type").map(str::to_owned));
    }
    let kubeconfig = format!("{}/v1/kubernetes/namespaces/{id}/kubeconfig", server.url);
    for accept in ["application/json", "application/yaml"] {
        let request = person.http.get(&kubeconfig).header("accept", accept);
        let answer = request.bearer_auth(&person.session_token).send().await;
        let answer = Answer::read(answer.unwrap()).await;
        assert_eq!(answer.header("content-type"), Some(accept));
        seen.insert(accept.to_owned());
    }
    for one in [
        "application/problem+json",
        "text/css",
        "text/html",
        "text/plain; version=0.0.4",
    ] {
        assert!(
            seen.iter().any(|seen| seen.starts_with(one)),
            "{one}: {seen:?}"
        );
    }

    // Whatever else the description speaks of.
    let document = get(&person.http, &format!("{}/openapi.json", server.url), "*/*")
        .await
        .json();
    let mut told = BTreeSet::new();
    media_types(&document, &mut told);
    assert!(told.contains("application/problem+json"), "{told:?}");
    for told in told {
        assert_eq!(media_type_fault(&told), None, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_of_the_development_cluster_are_read_by_go() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, _) = foreign_cluster(folder.path()).await;
    let (http, url) = cluster_client(&cluster.admin_kubeconfig());
    let document: Value = serde_saphyr::from_str(&cluster.admin_kubeconfig()).unwrap();
    let token = document["users"][0]["user"]["token"].as_str().unwrap();
    let mut seen = BTreeSet::new();
    for path in [
        "/livez",
        "/version",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/apps/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/api/v1",
        "/api/v1/namespaces",
        "/api/v1/namespaces/none",
        "/api/v1/namespaces?watch=true&timeoutSeconds=1",
        "/none",
    ] {
        for accept in ACCEPTS {
            let request = http.get(format!("{url}{path}")).header("accept", accept);
            let answer = Answer::read(request.bearer_auth(token).send().await.unwrap()).await;
            seen.extend(answer.header("content-type").map(str::to_owned));
        }
    }
    let old_schema = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let expected = ["application/json", "text/plain; charset=utf-8", old_schema];
    assert_eq!(seen, expected.map(str::to_owned).into());
    // It takes either name, and answers with the one that can be read.
    for accept in &ACCEPTS[5..] {
        let request = http
            .get(format!("{url}/openapi/v2"))
            .header("accept", *accept);
        let answer = Answer::read(request.bearer_auth(token).send().await.unwrap()).await;
        assert_eq!(answer.header("content-type"), Some(old_schema), "{accept}");
    }
    // What is refused before anybody looks at it.
    let long = vec![b'{'; 4 << 20];
    for body in [long, json!({}).to_string().into_bytes()] {
        let request = http.post(format!("{url}/api/v1/namespaces")).body(body);
        if let Ok(answer) = request.header("content-type", "no type").send().await {
            Answer::read(answer).await;
        }
    }
    cluster.stop().await;
}

async fn get(http: &Client, url: &str, accept: &str) -> Answer {
    let answer = http.get(url).header("accept", accept).send().await;
    Answer::read(answer.unwrap()).await
}

/// The keys of every `content` in it.
fn media_types(document: &Value, into: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(types) = member.as_object().filter(|_| name == "content") {
                    into.extend(types.keys().cloned());
                }
                media_types(member, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| media_types(item, into)),
        _ => {}
    }
}
