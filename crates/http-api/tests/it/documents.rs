//! What is not under `/v1`: the document, its page, probes and metrics.

use serde_json::{Value, json};

use crate::{
    client::Request,
    world::{World, text},
};

#[test]
fn the_document_is_as_it_was() {
    let document: Value = serde_json::from_str(&remotegpu_http_api::openapi_json()).unwrap();
    insta::assert_json_snapshot!("openapi", document, { ".info.version" => "[version]" });
}

#[test]
fn every_operation_is_described_whole() {
    let document: Value = serde_json::from_str(&remotegpu_http_api::openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap());
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{what}");
            assert!(operation["summary"].is_string(), "{what}");
            assert!(operation["description"].is_string(), "{what}");
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses.iter().filter(|(s, _)| s.as_str() >= "400") {
                let media = &response["content"]["application/problem+json"];
                let wanted = "#/components/schemas/Problem";
                assert_eq!(media["schema"]["$ref"], wanted, "{what} {status}");
                assert_eq!(media["example"]["status"].to_string(), *status, "{what}");
            }
            let ways = operation["security"].as_array().unwrap();
            if !ways.is_empty() {
                assert!(
                    responses.contains_key("401") && responses.contains_key("503"),
                    "{what}"
                );
            }
            if path.contains('{') {
                assert!(
                    responses.contains_key("404") || responses.contains_key("403"),
                    "{what}"
                );
            }
        }
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

/// What stands below a value, itself included, with where it stands.
fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &format!("{path}/{name}"), visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, visit)),
        _ => {}
    }
}

/// The schemas that these parts of operations use, by name.
fn used_by(document: &Value, part: &str) -> Vec<String> {
    let name = |reference: &Value| {
        let reference = reference.as_str()?.strip_prefix("#/components/schemas/")?;
        Some(reference.to_owned())
    };
    let mut used = Vec::new();
    walk(&document["paths"], "", &mut |path, value| {
        if path.contains(part) && path.ends_with("/$ref") {
            used.extend(name(value));
        }
    });
    let mut at = 0;
    while at < used.len() {
        let schema = &document["components"]["schemas"][&used[at]];
        assert!(schema.is_object(), "{}", used[at]);
        walk(schema, "", &mut |path, value| {
            if path.ends_with("/$ref") {
                let found = name(value).into_iter();
                used.extend(
                    found
                        .filter(|found| !used.contains(found))
                        .collect::<Vec<_>>(),
                );
            }
        });
        at += 1;
    }
    used.sort_unstable();
    used.dedup();
    used
}

#[test]
fn the_document_suits_who_generates_clients_from_it() {
    let document: Value = serde_json::from_str(&remotegpu_http_api::openapi_json()).unwrap();
    assert_eq!(document["servers"][0]["url"], "/");
    let schemas = &document["components"]["schemas"];

    // Requests are closed: what is unknown is refused (contract C1).
    let requests = used_by(&document, "/requestBody/");
    for name in &requests {
        let schema = &schemas[name];
        let is_list = schema["enum"].is_array() && name.ends_with("Word");
        assert!(is_list || schema["additionalProperties"] == false, "{name}");
    }
    assert!(
        requests.contains(&"ScopesRequest".to_owned()),
        "{requests:?}"
    );

    // Answers are open: a later version may say more, and in other words (contract R6).
    let answers = used_by(&document, "/responses/");
    for name in &answers {
        let schema = &schemas[name];
        assert!(schema.get("additionalProperties").is_none(), "{name}");
        walk(schema, name, &mut |path, value| {
            let reference = value
                .get("$ref")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let listed = reference.ends_with("Word");
            assert!(!listed || path.ends_with("/anyOf"), "{path}");
            let is_list = value.get("enum").is_some_and(Value::is_array);
            assert!(
                !is_list || (path == name && name.ends_with("Word")),
                "{path}"
            );
            if path.ends_with("/anyOf") && value.is_array() {
                assert_eq!(value[1], json!({"type": "string"}), "{path}");
            }
        });
    }
    assert!(answers.contains(&"ErrorCodeWord".to_owned()), "{answers:?}");

    // Generators take one of several that only values tell apart for something else, and of
    // several at once they forget what may be null.
    walk(&document, "", &mut |path, _| {
        let known = !path.ends_with("/oneOf") && !path.ends_with("/allOf");
        assert!(known, "{path}");
    });
    for (name, schema) in schemas.as_object().unwrap() {
        if let Some(item) = name.strip_prefix("ListResponse_") {
            let items = &schema["properties"]["items"]["items"];
            assert_eq!(items["$ref"], format!("#/components/schemas/{item}"));
        }
        let used = answers.contains(name) || requests.contains(name);
        assert!(used, "{name} is used by nobody");
    }
    for (name, header) in document["components"]["headers"].as_object().unwrap() {
        assert!(header["schema"].get("enum").is_none(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere() {
    let world = World::new().await;
    let redirect = world.get("/docs").send().await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (308, Some("/docs/"))
    );
    let page = world.get("/docs/").send().await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!page.body.contains("://"), "{}", page.body);
    for file in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
        "index.css",
        "favicon-32x32.png",
    ] {
        let asset = world.get(&format!("/docs/{file}")).send().await;
        assert_eq!(asset.status, 200, "{file}");
    }
    let initializer = world.get("/docs/swagger-initializer.js").send().await.body;
    assert!(initializer.contains("\"/openapi.json\""), "{initializer}");
    assert!(
        initializer.contains("\"validatorUrl\": \"none\""),
        "{initializer}"
    );
    let document = world.get("/openapi.json").send().await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert_eq!(document.body, remotegpu_http_api::openapi_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_drains_is_not_ready_and_still_alive() {
    // R4
    let world = World::new().await;
    let inside = |path: &str| Request::new(world.internal, "GET", path).header("host", "any");
    let ok = json!({"status": "ok"});
    for path in ["/livez", "/readyz"] {
        assert_eq!(world.get(path).send().await.json(), ok);
        assert_eq!(inside(path).send().await.json(), ok);
    }
    world.edge.drain();
    let draining = world.get("/readyz").send().await;
    assert_eq!(draining.problem().1, "overloaded");
    assert!(draining.header("retry-after").is_some());
    assert_eq!(world.get("/livez").send().await.json(), ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_inside_only_and_name_routes_not_paths() {
    // R4
    let world = World::new().await;
    world.get("/v1/account/api-keys/s3cret/revoke").send().await;
    world.request("BREW", "/s3cret").send().await;
    world
        .post("/v1/account/api-keys/s3cret/revoke")
        .send()
        .await;
    assert_eq!(world.get("/metrics").send().await.status, 404);
    let metrics = Request::new(world.internal, "GET", "/metrics").send().await;
    let line = "remotegpu_http_requests_total{method=\"POST\",route=\"/v1/account/api-keys/{key_id}/revoke\",status=\"401\"} 1";
    assert!(metrics.body.contains(line), "{}", metrics.body);
    assert!(
        metrics
            .body
            .contains("method=\"OTHER\",route=\"unknown\",status=\"404\"")
    );
    assert!(!metrics.body.contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_mints_refusals_and_what_waits() {
    // R4, X8
    let world = World::new().await;
    let ada = world.person("ada").await;
    let namespace = world.namespace(&ada, "team-ml").await;
    let key = text(&world.key(&ada, json!({"all": true})).await, "key");
    let mint = |id: &str| {
        let path = format!("/v1/kubernetes/namespaces/{id}/exec-credential");
        world.post(&path).header("x-api-key", &key).send()
    };
    assert_eq!(mint(&namespace).await.status, 200);
    let unknown = "0198c0de-0000-7000-8000-00000000000a";
    assert_eq!(mint(unknown).await.status, 403);
    let metrics = Request::new(world.internal, "GET", "/metrics").send().await;
    for line in [
        "remotegpu_mints_total{outcome=\"minted\"} 1",
        "remotegpu_mints_total{outcome=\"exec_not_allowed\"} 1",
        "remotegpu_mint_duration_seconds_count 1",
        "remotegpu_token_request_duration_seconds_count 1",
        "remotegpu_refusals_total{code=\"exec_not_allowed\"} 1",
        "remotegpu_refusals_total{code=\"internal\"} 0",
        "remotegpu_namespaces_unsettled{status=\"provisioning\"} 0",
        "remotegpu_identities_ended_waiting 0",
        "remotegpu_identities_ended_oldest_seconds 0",
        "remotegpu_cluster_answers{cluster=\"test\"} 1",
        "remotegpu_cluster_breaker_open{cluster=\"test\"} 0",
        "remotegpu_audit_events_dropped_total 0",
    ] {
        assert!(metrics.body.contains(line), "{line} in {}", metrics.body);
    }
}
