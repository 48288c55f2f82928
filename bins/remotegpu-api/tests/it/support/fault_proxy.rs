//! What stands between the control plane and a cluster, and fails as it is told.

use std::{
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{Bytes, Data, PayloadConfig, to},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use remotegpu_dev_cluster::DevCluster;
use remotegpu_test_support::self_signed::self_signed;
use reqwest::{Client, Method};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Backend, ServerOptions, cluster_client, foreign_cluster, free_port};

/// Stands in every answer that is not the cluster's own, and must get nowhere.
pub const CANARY: &str = "canary-of-the-cluster";
/// How much an answer without measure would have.
pub const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

const CHUNK: usize = 16 * 1024;

/// What is wrong with the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Nothing listens.
    Refuse,
    /// It takes the request, and says nothing.
    Hang,
    /// Every answer takes so long.
    Slow(Duration),
    /// The body comes byte by byte.
    Trickle,
    /// It answers with this status, and asks to come again in an hour.
    Status(u16),
    /// It sends elsewhere, to a place that answers.
    Redirect,
    /// Something else answers, and says that all is well.
    Html,
    /// The answer has ten megabytes.
    Huge,
    /// A token without an expiration.
    NoExpiration,
    /// A token that has ended.
    PastExpiration,
    /// A token that lives for years.
    FarExpiration,
    /// A token whose end is no time.
    OddExpiration,
    /// It has a certificate that another authority has signed.
    WrongCa,
}

/// A cluster, and what stands before it.
pub struct FaultyCluster {
    pub proxy: FaultProxy,
    pub cluster: DevCluster,
    /// The kubeconfig's file that leads through the proxy.
    pub path: PathBuf,
    /// A kubeconfig that does not.
    pub direct: String,
    _folder: TempDir,
}

impl FaultyCluster {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, direct) = foreign_cluster(folder.path()).await;
        let direct = std::fs::read_to_string(direct).unwrap();
        let proxy = FaultProxy::start(&direct);
        let path = folder.path().join("proxy.kubeconfig");
        std::fs::write(&path, &proxy.kubeconfig).unwrap();
        Self {
            proxy,
            cluster,
            path,
            direct,
            _folder: folder,
        }
    }

    /// Of a server with this one cluster, in which keys may mint as they like.
    pub fn options(&self, backend: Backend) -> ServerOptions {
        ServerOptions::new(backend)
            .with("clusters", format!("eu={}", self.path.display()))
            .with("mint-rate", "1000")
            .with("mint-burst", "1000")
    }
}

/// Stands before a cluster that a kubeconfig names. Connections are kept alive, as
/// an API server keeps them.
pub struct FaultProxy {
    /// The way to the cluster that leads through here.
    kubeconfig: String,
    port: u16,
    certificates: [ServerConfig; 2],
    state: Arc<State>,
    running: Option<ServerHandle>,
}

struct State {
    fault: Mutex<Fault>,
    /// What is wrong with requests whose path has this part alone.
    part: Mutex<Option<(String, Fault)>>,
    upstream: Client,
    upstream_url: String,
    /// How much of one answer without measure was taken, where a token was asked for.
    longest: AtomicUsize,
    /// How often somebody went where a redirection leads.
    elsewhere: AtomicUsize,
}

impl FaultProxy {
    /// Must be called inside of the runtime that it is to run in.
    fn start(kubeconfig: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (upstream, upstream_url) = cluster_client(kubeconfig);
        let [(own, ca), (other, _)] = [(); 2].map(|()| self_signed(["127.0.0.1"]));
        let port = free_port();
        let mut document: Value = serde_saphyr::from_str(kubeconfig).unwrap();
        let cluster = &mut document["clusters"][0]["cluster"];
        cluster["server"] = format!("https://127.0.0.1:{port}").into();
        cluster["certificate-authority-data"] = STANDARD.encode(ca).into();
        let mut proxy = Self {
            kubeconfig: document.to_string(),
            port,
            certificates: [own, other],
            state: Arc::new(State {
                fault: Mutex::new(Fault::None),
                part: Mutex::default(),
                upstream,
                upstream_url,
                longest: AtomicUsize::default(),
                elsewhere: AtomicUsize::default(),
            }),
            running: None,
        };
        proxy.listen(Fault::None);
        proxy
    }

    /// Fails so from now on. What concerns connections ends those that are open.
    pub async fn set(&mut self, fault: Fault) {
        let of_connections = |fault| matches!(fault, Fault::Refuse | Fault::WrongCa);
        let before = std::mem::replace(&mut *self.state.fault.lock().unwrap(), fault);
        if of_connections(before) || of_connections(fault) {
            if let Some(running) = self.running.take() {
                running.stop(false).await;
            }
            if fault != Fault::Refuse {
                self.listen(fault);
            }
        }
    }

    /// Fails so from now on where the path of a request has this part, and no more
    /// anywhere else; not for what concerns connections.
    pub fn set_of(&self, part: &str, fault: Fault) {
        *self.state.part.lock().unwrap() = Some((part.to_owned(), fault));
    }

    /// How much of one answer without measure was taken at the most, where a token was
    /// asked for; what the system holds on the way included.
    pub fn longest_taken(&self) -> usize {
        self.state.longest.load(Ordering::Relaxed)
    }

    /// How often somebody went where a redirection leads.
    pub fn visits_elsewhere(&self) -> usize {
        self.state.elsewhere.load(Ordering::Relaxed)
    }

    fn listen(&mut self, fault: Fault) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let tls = self.certificates[usize::from(fault == Fault::WrongCa)].clone();
        let state = Data::from(Arc::clone(&self.state));
        let app = move || {
            App::new()
                .app_data(state.clone())
                .app_data(PayloadConfig::new(TEN_MEGABYTES))
                .default_service(to(answer))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .listen_rustls_0_23(listener, tls)
            .unwrap()
            .run();
        self.running = Some(server.handle());
        tokio::spawn(server);
    }
}

async fn answer(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let fault = {
        let part = state.part.lock().unwrap();
        let part = part
            .as_ref()
            .filter(|(part, _)| request.path().contains(part));
        part.map_or(*state.fault.lock().unwrap(), |(_, fault)| *fault)
    };
    if request.path() == "/elsewhere" {
        state.elsewhere.fetch_add(1, Ordering::Relaxed);
        return forward(&request, body, &state).await;
    }
    match fault {
        Fault::Hang => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            HttpResponse::Ok().finish()
        }
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            forward(&request, body, &state).await
        }
        Fault::Trickle => trickle(),
        Fault::Status(status) => HttpResponse::build(StatusCode::from_u16(status).unwrap())
            .insert_header(("retry-after", "3600"))
            .insert_header(("x-canary", CANARY))
            .json(json!({"kind": "Status", "message": CANARY, "reason": CANARY})),
        Fault::Redirect => HttpResponse::TemporaryRedirect()
            .insert_header(("location", format!("/elsewhere?{CANARY}")))
            .body(CANARY),
        Fault::Html => HttpResponse::Created()
            .content_type("text/html")
            .body(format!("<html><body>{CANARY}</body></html>")),
        Fault::Huge => huge(&request, state),
        Fault::NoExpiration
        | Fault::PastExpiration
        | Fault::FarExpiration
        | Fault::OddExpiration
            if request.path().ends_with("/token") =>
        {
            bend(fault, forward(&request, body, &state).await).await
        }
        _ => forward(&request, body, &state).await,
    }
}

/// What the cluster itself answers.
async fn forward(request: &HttpRequest, body: Bytes, state: &State) -> HttpResponse {
    let url = format!("{}{}", state.upstream_url, request.uri());
    let method: Method = request.method().as_str().parse().unwrap();
    let mut asked = state.upstream.request(method, url).body(body.to_vec());
    for name in ["accept", "authorization", "content-type"] {
        if let Some(value) = request.headers().get(name) {
            asked = asked.header(name, value.as_bytes());
        }
    }
    let Ok(answer) = asked.send().await else {
        return HttpResponse::BadGateway().finish();
    };
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let body = answer.bytes().await.unwrap_or_default();
    HttpResponse::build(status)
        .content_type("application/json")
        .body(body)
}

/// Changes what the cluster says of a token's end.
async fn bend(fault: Fault, answer: HttpResponse) -> HttpResponse {
    let status = answer.status();
    let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    body["metadata"]["annotations"] = json!({"note": CANARY});
    body["status"]["expirationTimestamp"] = match fault {
        Fault::PastExpiration => json!("2001-01-01T00:00:00Z"),
        Fault::FarExpiration => json!("2999-01-01T00:00:00Z"),
        Fault::OddExpiration => json!("soon"),
        _ => Value::Null,
    };
    HttpResponse::build(status).json(body)
}

fn trickle() -> HttpResponse {
    let bytes = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, actix_web::Error>(Bytes::from_static(b" ")), ()))
    });
    HttpResponse::Created()
        .content_type("application/json")
        .streaming(bytes)
}

fn huge(request: &HttpRequest, state: Data<State>) -> HttpResponse {
    let counts = request.path().ends_with("/token");
    let chunks = stream::unfold(0, move |sent: usize| {
        let state = state.clone();
        async move {
            if sent >= TEN_MEGABYTES {
                return None;
            }
            let text = CANARY.repeat(CHUNK / CANARY.len() + 1);
            let chunk = Bytes::from(text).slice(..CHUNK);
            if counts {
                state.longest.fetch_max(sent + CHUNK, Ordering::Relaxed);
            }
            Some((Ok::<_, actix_web::Error>(chunk), sent + CHUNK))
        }
    });
    HttpResponse::Created()
        .content_type("application/json")
        .streaming(chunks)
}
