//! A 400 tells all that is wrong with a request at once (contract C2).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Backend, Person, Server};

const KEYS: &str = "/v1/account/api-keys";
const NAMESPACES: &str = "/v1/kubernetes/namespaces";
const PAST: &str = "2020-01-01T00:00:00Z";

/// Refused with this code and sentence, and with these fields, each with the
/// beginning of what is wrong with it.
#[track_caller]
fn check(answer: &Answer, code: &str, detail: &str, wanted: Fields) {
    assert_eq!(answer.problem(400, code), detail, "{}", answer.text);
    let errors = answer.json()["errors"].clone();
    let told: Vec<(&str, &str)> = errors
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.text))
        .iter()
        .map(|error| (error["field"].as_str(), error["message"].as_str()))
        .map(|(field, message)| (field.unwrap(), message.unwrap()))
        .collect();
    let fields = |all: &[(&str, &str)]| -> Vec<String> {
        all.iter().map(|(field, _)| (*field).to_owned()).collect()
    };
    assert_eq!(fields(&told), fields(wanted), "{}", answer.text);
    for ((field, told), (_, begins)) in told.iter().zip(wanted) {
        assert!(told.starts_with(begins), "{field}: {told}");
    }
}

async fn key_and_person(server: &Server) -> (Person, String) {
    let person = server.person("ada").await;
    let key = person.key(json!({"all": true})).await;
    let path = format!("{KEYS}/{}", key.id());
    (person, path)
}

/// Which fields are wrong, and what is said of each.
type Fields<'a> = &'a [(&'a str, &'a str)];

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_a_key_are_told_at_once() {
    // C2, K4, K5, K10 to K12
    let server = Server::start(Backend::Sqlite).await;
    let (person, patch) = key_and_person(&server).await;
    let bob = server.person("bob").await;
    let his = bob.namespace("his").await["id"].clone();
    let own = person.namespace("own").await["id"].clone();
    let all = json!({"all": true});
    let (name, future) = ("must have 1 to 64 characters", "must be in the future");
    let (time, ours) = (
        "must be an RFC 3339 time",
        "is not a namespace of this account",
    );
    let ids = |ids: &[&Value]| json!({"kubernetes_exec": {"namespace_ids": ids}});
    let id = "scopes.kubernetes_exec.namespace_ids[1]";
    let named = format!("name {name}");
    let table: [(Value, &str, &str, Fields); 11] = [
        (
            json!({"name": "", "scopes": all, "expires_at": PAST}),
            "invalid_field",
            &named,
            &[("name", name), ("expires_at", future)],
        ),
        (
            json!({"name": "", "scopes": all, "expires_at": "soon"}),
            "invalid_field",
            &named,
            &[("name", name), ("expires_at", time)],
        ),
        (
            json!({"name": 7, "scopes": all, "expires_at": PAST}),
            "invalid_field",
            "name must be a string",
            &[("name", "must be a string"), ("expires_at", future)],
        ),
        // K10's sentences stand before all.
        (
            json!({"name": "", "scopes": {}, "expires_at": PAST, "nmae": "x"}),
            "invalid_scopes",
            "At least one explicit scope is required",
            &[
                ("nmae", "is not known"),
                ("name", name),
                ("scopes", "must name"),
                ("expires_at", future),
            ],
        ),
        (
            json!({"name": "", "scopes": ids(&[])}),
            "invalid_scopes",
            "At least one namespace ID is required unless all_namespaces is true",
            &[
                ("name", name),
                ("scopes.kubernetes_exec.namespace_ids", "must name"),
            ],
        ),
        // Other wrong scopes stand at their place.
        (
            json!({"name": "", "scopes": {"alll": true, "inference": 1}}),
            "invalid_field",
            &named,
            &[
                ("name", name),
                ("scopes.inference", "must be true or false"),
                ("scopes.alll", "is not known"),
            ],
        ),
        (
            json!({"name": "x", "scopes": {"alll": true}, "expires_at": PAST}),
            "invalid_scopes",
            "scopes.alll is not known",
            &[("scopes.alll", "is not known"), ("expires_at", future)],
        ),
        // What only the database knows to be wrong is told as well.
        (
            json!({"name": "", "scopes": ids(&[&own, &his]), "expires_at": PAST}),
            "invalid_field",
            &named,
            &[("name", name), (id, ours), ("expires_at", future)],
        ),
        (
            json!({"name": "x", "scopes": ids(&[&own, &his]), "expires_at": PAST}),
            "foreign_namespace",
            "Every namespace ID must be a namespace of this account",
            &[(id, ours), ("expires_at", future)],
        ),
        (
            json!({"name": "x", "scopes": ids(&[&own, &json!("nonsense")]), "expires_at": PAST}),
            "foreign_namespace",
            "Every namespace ID must be a namespace of this account",
            &[(id, ours), ("expires_at", future)],
        ),
        (
            json!({"name": "x", "scopes": ids(&[&his, &json!("nonsense"), &own, &json!(""), &his])}),
            "foreign_namespace",
            "Every namespace ID must be a namespace of this account",
            &[
                ("scopes.kubernetes_exec.namespace_ids[0]", ours),
                (id, ours),
                ("scopes.kubernetes_exec.namespace_ids[3]", ours),
                ("scopes.kubernetes_exec.namespace_ids[4]", ours),
            ],
        ),
    ];
    for (body, code, detail, wanted) in table {
        check(&person.post(KEYS, body.clone()).await, code, detail, wanted);
        check(&person.patch(&patch, body).await, code, detail, wanted);
    }
    check(
        &person.post(KEYS, json!({"expires_at": 5, "x": 1})).await,
        "invalid_field",
        "x is not known",
        &[
            ("x", "is not known"),
            ("name", "is required"),
            ("scopes", "is required"),
            ("expires_at", "must be a string"),
        ],
    );
    check(
        &person
            .post(
                &format!("{patch}/rotate"),
                json!({"grace_seconds": -1, "y": 1, "x": 1}),
            )
            .await,
        "invalid_field",
        "x is not known",
        &[
            ("x", "is not known"),
            ("y", "is not known"),
            ("grace_seconds", "must be a number from 0 to 86400"),
        ],
    );
    // One alone is answered as ever.
    let alone = person.post(KEYS, json!({"name": "x", "scopes": {}})).await;
    alone.problem(400, "invalid_scopes");
    assert_eq!(alone.json().get("errors"), None);
    let alone = person.patch(&patch, json!({"expires_at": PAST})).await;
    assert_eq!(
        alone.problem(400, "expiry_not_in_future"),
        "expires_at must be in the future"
    );
    assert_eq!(alone.json().get("errors"), None);
    person
        .patch(&patch, json!({}))
        .await
        .problem(400, "invalid_body");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_other_requests_are_told_at_once() {
    // C2, A6, A8, A10, N2, N3

    let server = Server::start(Backend::Sqlite).await;
    let person = server.person("ada").await;
    let namespace = person.namespace("team-ml").await;
    let rename = format!("{NAMESPACES}/{}", namespace["id"].as_str().unwrap());
    let (post, put) = (Method::POST, Method::PUT);
    let long = "must have 12 to 128 characters";
    let table: [(Method, &str, Value, &str, Fields); 8] = [
        (
            post.clone(),
            "/v1/auth/sign-up",
            json!({"password": "x", "email": "x", "account_name": "", "z": 1}),
            "z is not known",
            &[
                ("z", ""),
                ("email", "must"),
                ("password", long),
                ("account_name", "must"),
            ],
        ),
        (
            post.clone(),
            "/v1/auth/sign-up",
            json!({"account_name": 1, "password": "x"}),
            "email is required",
            &[
                ("email", "is required"),
                ("password", long),
                ("account_name", "must be a string"),
            ],
        ),
        (
            post.clone(),
            "/v1/auth/sign-in",
            json!({"cookie": 1, "password": null}),
            "email is required",
            &[
                ("email", "is required"),
                ("password", "must be a string"),
                ("cookie", "must be true or false"),
            ],
        ),
        (
            put.clone(),
            "/v1/auth/password",
            json!({"new": "x", "current": 1}),
            "current must be a string",
            &[("current", "must be a string"), ("new", long)],
        ),
        (
            put,
            "/v1/auth/password",
            json!({"new": "x", "old": "y"}),
            "old is not known",
            &[
                ("old", "is not known"),
                ("current", "is required"),
                ("new", long),
            ],
        ),
        (
            post.clone(),
            NAMESPACES,
            json!({"cluster": "nowhere", "name": "All"}),
            "name must consist",
            &[("name", "must consist"), ("cluster", "is not known")],
        ),
        (
            post,
            NAMESPACES,
            json!({"cluster": 1, "name": "all", "size": 3}),
            "size is not known",
            &[("size", ""), ("name", ""), ("cluster", "must be a string")],
        ),
        (
            Method::PATCH,
            &rename,
            json!({"nmae": "x", "name": ""}),
            "nmae is not known",
            &[("nmae", "is not known"), ("name", "must")],
        ),
    ];
    for (method, path, body, begins, wanted) in table {
        let answer = person.send(method, path, body).await;
        let detail = answer.problem(400, "invalid_field");
        assert!(detail.starts_with(begins), "{detail}");
        check(&answer, "invalid_field", &detail, wanted);
    }
    let unknown = person
        .post(NAMESPACES, json!({"name": "b", "cluster": "nowhere"}))
        .await;
    unknown.problem(400, "cluster_unknown");
    assert_eq!(unknown.json().get("errors"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_of_a_list_are_told_at_once() {
    // C2, C4, R5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.person("ada").await;
    let (limit, cursor) = ("must be a number from 1 to 200", "must be the next_cursor");
    for path in [KEYS, NAMESPACES] {
        check(
            &person.get(&format!("{path}?cursor=x&limit=0")).await,
            "invalid_field",
            "limit must be a number from 1 to 200",
            &[("limit", limit), ("cursor", cursor)],
        );
        check(
            &person
                .get(&format!("{path}?cursor=x&limit=1&limit=1"))
                .await,
            "invalid_field",
            "limit must not stand more than once",
            &[("limit", "must not stand"), ("cursor", cursor)],
        );
    }
    check(
        &person
            .get("/v1/account/audit-events?since=soon&action=x&cursor=x&limit=0")
            .await,
        "invalid_field",
        "limit must be a number from 1 to 200",
        &[
            ("limit", limit),
            ("cursor", cursor),
            ("action", "must be"),
            ("since", "must be an RFC 3339"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_throughout_gets_a_short_answer() {
    // C2, C5
    let server = Server::start(Backend::Sqlite).await;
    let person = server.person("ada").await;
    let members: Vec<String> = (0..7_000).map(|n| format!("\"{n:x}\":0")).collect();
    let request = person.request(Method::POST, KEYS);
    let request = request.header("content-type", "application/json");
    let body = format!("{{{}}}", members.join(","));
    let answer = Answer::read(request.body(body).send().await.unwrap()).await;
    assert_eq!(answer.problem(400, "invalid_field"), "0 is not known");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 100);
}
