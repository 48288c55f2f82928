//! A cluster of which only the lists and the claim are there: as many service accounts
//! and bindings as one likes, made up page by page.

use std::{
    collections::HashMap,
    fmt::Write,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::Mutex,
    time::Instant,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::Method,
    rt::System,
    web::{Bytes, Data, Query, to},
};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use remotegpu_test_support::self_signed::self_signed;
use serde_json::{Value, json};

use super::KUBECONFIG;
use crate::dataset::identity_id;

/// Where it tells of the sweeps that it has seen.
pub const SWEEPS: &str = "/sweeps";

const ACCOUNTS: &str = "/api/v1/namespaces/remotegpu-credentials/serviceaccounts";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/rolebindings";
const CREDENTIALS: &str = "/api/v1/namespaces/remotegpu-credentials";
const SYSTEM: &str = "/api/v1/namespaces/kube-system";
/// Where the claim is made, and where it stands: who does not hold one sweeps nothing.
const CONFIG_MAPS: &str = "/api/v1/namespaces/remotegpu-credentials/configmaps";
const CLAIM: &str = "/api/v1/namespaces/remotegpu-credentials/configmaps/remotegpu-claim";
/// As large as those of a real API server.
const MANAGED_FIELDS: &str = r#"[{"manager":"unknown","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:automountServiceAccountToken":{},"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:remotegpu.ai/account-id":{},"f:remotegpu.ai/identity-id":{},"f:remotegpu.ai/key-id":{},"f:remotegpu.ai/namespace-id":{},"f:remotegpu.ai/secret-id":{}}}}}]"#;
const SOME_ID: &str = "0198c0de-0000-7000-8000-00000000000a";

struct Lists {
    objects: usize,
    seen: Mutex<Seen>,
    claim: Mutex<Option<Value>>,
}

#[derive(Default)]
struct Seen {
    began: Option<Instant>,
    count: u64,
    took_ms: u128,
}

/// Serves until it is killed.
pub fn run(port: u16, folder: &Path, objects: usize) -> Result<()> {
    let (tls, ca) = self_signed(["127.0.0.1"]);
    let lists = Data::new(Lists {
        objects,
        seen: Mutex::default(),
        claim: Mutex::default(),
    });
    let app = move || {
        App::new()
            .app_data(lists.clone())
            .default_service(to(answer))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let server = HttpServer::new(app)
        .workers(1)
        .listen_rustls_0_23(listener, tls)?
        .run();
    let kubeconfig = json!({
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    });
    // Written last and under another name first: whoever sees it may use it.
    let (unfinished, path) = (folder.join("unfinished"), folder.join(KUBECONFIG));
    std::fs::write(&unfinished, kubeconfig.to_string())?;
    std::fs::rename(&unfinished, &path)?;
    Ok(System::new().block_on(server)?)
}

async fn answer(request: HttpRequest, body: Bytes, lists: Data<Lists>) -> HttpResponse {
    let body = match request.path() {
        CONFIG_MAPS | CLAIM => return claim(&lists, request.method(), &body),
        "/version" => json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}).to_string(),
        CREDENTIALS | SYSTEM => json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": request.path().rsplit('/').next(), "uid": "u"},
        })
        .to_string(),
        SWEEPS => {
            let Ok(seen) = lists.seen.lock() else {
                return HttpResponse::InternalServerError().finish();
            };
            json!({"count": seen.count, "took_ms": seen.took_ms}).to_string()
        }
        ACCOUNTS => page(&request, &lists, "remotegpu-credentials"),
        BINDINGS => page(&request, &lists, "bench-0-0"),
        // Nothing else is there, or everything is done.
        _ => json!({"metadata": {}, "items": []}).to_string(),
    };
    HttpResponse::Ok()
        .content_type("application/json")
        .body(body)
}

/// The claim as it was written last; whoever writes over another version than that one
/// is refused.
fn claim(lists: &Lists, method: &Method, body: &[u8]) -> HttpResponse {
    let Ok(mut stands) = lists.claim.lock() else {
        return HttpResponse::InternalServerError().finish();
    };
    if *method != Method::GET {
        let Ok(mut written) = serde_json::from_slice::<Value>(body) else {
            return HttpResponse::BadRequest().finish();
        };
        let version = |claim: &Value| claim["metadata"]["resourceVersion"].clone();
        let found = stands.as_ref().map_or(Value::Null, version);
        if version(&written) != found {
            return HttpResponse::Conflict().json(json!({"kind": "Status", "reason": "Conflict"}));
        }
        let next = found.as_str().and_then(|found| found.parse().ok());
        let next: u64 = next.unwrap_or(0) + 1;
        written["metadata"]["resourceVersion"] = json!(next.to_string());
        *stands = Some(written);
    }
    match &*stands {
        Some(stands) => HttpResponse::Ok().json(stands),
        None => HttpResponse::NotFound().json(json!({"kind": "Status", "reason": "NotFound"})),
    }
}

fn page(request: &HttpRequest, lists: &Lists, namespace: &str) -> String {
    let query = Query::<HashMap<String, String>>::from_query(request.query_string());
    let query = query.map(Query::into_inner).unwrap_or_default();
    let number = |name: &str| query.get(name).and_then(|text| text.parse().ok());
    let begin: usize = number("continue").unwrap_or(0);
    let end = begin.saturating_add(number("limit").unwrap_or(usize::MAX));
    let end = end.min(lists.objects);
    note(lists, request.path(), begin == 0, end == lists.objects);
    let mut text = String::with_capacity(1500 * (end - begin) + 200);
    let next = if end < lists.objects {
        end.to_string()
    } else {
        String::new()
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        r#"{{"kind":"List","metadata":{{"continue":"{next}"}},"items":["#
    );
    for number in begin..end {
        let id = identity_id(number);
        let (simple, comma) = (id.replace('-', ""), if number > begin { "," } else { "" });
        let _ = write!(
            text,
            r#"{comma}{{"metadata":{{"name":"key-0198c0de000070008000000000000000-{simple}","namespace":"{namespace}","uid":"{id}","resourceVersion":"{number}","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app.kubernetes.io/managed-by":"remotegpu","remotegpu.ai/account-id":"{SOME_ID}","remotegpu.ai/identity-id":"{id}","remotegpu.ai/key-id":"{SOME_ID}","remotegpu.ai/namespace-id":"{SOME_ID}","remotegpu.ai/secret-id":"{SOME_ID}"}},"managedFields":{MANAGED_FIELDS}}},"automountServiceAccountToken":false}}"#
        );
    }
    text.push_str("]}");
    text
}

/// A sweep begins with the first page of service accounts and ends with the last one of
/// bindings. Where two instances sweep at the same time, the later beginning counts.
fn note(lists: &Lists, path: &str, is_first: bool, is_last: bool) {
    let Ok(mut seen) = lists.seen.lock() else {
        return;
    };
    if path == ACCOUNTS && is_first {
        seen.began = Some(Instant::now());
    }
    if path == BINDINGS && is_last {
        seen.count += 1;
        if let Some(began) = seen.began {
            seen.took_ms = began.elapsed().as_millis();
        }
    }
}
