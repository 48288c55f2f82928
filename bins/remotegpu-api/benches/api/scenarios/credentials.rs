//! What a cluster credential costs on a real API server, beside the same `TokenRequest`
//! made directly; and what `kubectl` feels of it.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use remotegpu_test_support::control_plane::ControlPlane;
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{Effort, kubectl};
use crate::{
    dataset::{Accounts, Dataset, Keys, PASSWORD, email},
    load::Sample,
    progress::say,
    report::{Bound, Report},
    rounds::{quantile_ratios, rate_ratios},
    server::{Server, Setting},
    store::{Backend, Store},
};

/// Throughput is measured with this many connections; the time of one with one.
const TOGETHER: usize = 8;
/// The load is spread over this many keys, each of which has its own identity.
const KEYS: usize = 100;
const IDENTITIES: &str = "/api/v1/namespaces/remotegpu-credentials/serviceaccounts";

/// A server in front of a real cluster, with a namespace that keys open.
pub struct World {
    pub server: Server,
    pub keys: Arc<Keys>,
    /// A session token of the account's user.
    pub session: String,
    pub namespace_id: String,
    pub kubernetes_namespace: String,
    /// The control plane's own kubeconfig, with a static token.
    pub kubeconfig: Value,
    _plane: ControlPlane,
    _store: Store,
    _folder: tempfile::TempDir,
}

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let Some(world) = World::build(&runtime, backend)? else {
        report.remark(
            "**Cluster credentials were not measured:** there are no etcd, kube-apiserver and \
             kube-controller-manager in KUBEBUILDER_ASSETS or /usr/local/kubebuilder/bin.",
        );
        return Ok(());
    };
    let minted = runtime.block_on(mints(backend, &world, effort, report))?;
    kubectl::measure(backend, &world, minted, effort, report)?;
    world.server.stop()
}

impl World {
    fn build(runtime: &Runtime, backend: Backend) -> Result<Option<Self>> {
        say("starting a real control plane");
        let Some(plane) = runtime.block_on(ControlPlane::start()) else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        runtime.block_on(remotegpu_cluster::apply_prerequisites(
            plane.admin_kubeconfig(),
        ))?;
        let kubeconfig = own_kubeconfig(&plane, folder.path())?;
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string())?;

        let owner = Accounts {
            count: 1,
            keys_each: KEYS,
        };
        let data = Dataset::generate(&[owner])?;
        let store = Store::filled(backend, &data)?;
        let unlimited = |key| -> Setting { (key, "1000000".to_owned()) };
        let settings = [
            ("clusters", format!("real={}", path.display())),
            unlimited("mint-rate"),
            unlimited("mint-burst"),
        ];
        let server = Server::start(&store, &settings)?;
        let session = server.sign_in(&email(0), PASSWORD)?;
        let namespace = active_namespace(&server, &session)?;
        let text = |member: &str| {
            let text = namespace[member].as_str().map(str::to_owned);
            text.with_context(|| format!("a namespace without {member}"))
        };
        Ok(Some(Self {
            namespace_id: text("id")?,
            kubernetes_namespace: text("kubernetes_namespace")?,
            kubeconfig,
            server,
            keys: data.keys,
            session,
            _plane: plane,
            _store: store,
            _folder: folder,
        }))
    }

    /// Where the cluster's API is.
    pub fn cluster_url(&self) -> Result<&str> {
        let url = self.kubeconfig["clusters"][0]["cluster"]["server"].as_str();
        url.context("a kubeconfig without a server")
    }

    fn cluster_token(&self) -> Result<&str> {
        let token = self.kubeconfig["users"][0]["user"]["token"].as_str();
        token.context("a kubeconfig without a token")
    }

    fn cluster_ca(&self) -> Result<Certificate> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let data = &self.kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"];
        let pem = STANDARD.decode(data.as_str().context("a kubeconfig without a CA")?)?;
        Ok(Certificate::from_pem(&pem)?)
    }
}

/// The control plane's, with a token of its own account, as an operator makes it.
fn own_kubeconfig(plane: &ControlPlane, folder: &Path) -> Result<Value> {
    let admin = folder.join("admin");
    std::fs::write(&admin, plane.admin_kubeconfig())?;
    let created = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(&admin)
        .args(["-n", "remotegpu-system", "create", "token"])
        .args(["remotegpu-control-plane", "--duration", "2h"])
        .output()
        .context("kubectl")?;
    if !created.status.success() {
        bail!("{}", String::from_utf8_lossy(&created.stderr).trim());
    }
    let token = String::from_utf8(created.stdout)?;
    let mut kubeconfig: Value = serde_saphyr::from_str(plane.admin_kubeconfig())?;
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    Ok(kubeconfig)
}

/// A namespace that keys open by now.
pub fn active_namespace(server: &Server, session: &str) -> Result<Value> {
    server.post(
        "/v1/kubernetes/namespaces",
        Some(session),
        &json!({"name": "bench"}),
    )?;
    for _ in 0..300 {
        // It is the only one.
        let all = server.get("/v1/kubernetes/namespaces", session)?;
        if all["items"][0]["status"] == "active" {
            return Ok(all["items"][0].clone());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the namespace does not become active")
}

/// Ways to a token, of which there is one for each key.
struct Way {
    name: &'static str,
    expected: u16,
    urls: Vec<(String, Option<String>)>,
    bearer: Option<String>,
    body: String,
    ca: Option<Certificate>,
}

impl Way {
    fn client(&self) -> Result<Client> {
        let mut builder = Client::builder().no_proxy().http1_only();
        if let Some(ca) = &self.ca {
            builder = builder.tls_certs_only([ca.clone()]);
        }
        Ok(builder.build()?)
    }

    async fn ask(&self, client: &Client, number: usize) -> Result<u16> {
        let (url, key) = &self.urls[number % self.urls.len()];
        let mut request = client.request(Method::POST, url);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token);
        }
        if !self.body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(self.body.clone());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        answer.bytes().await?;
        Ok(status)
    }

    /// A closed loop, each connection with a client of its own that keeps it.
    async fn run(&self, connections: usize, time: Duration) -> Result<Sample> {
        let one = async |start: usize| -> Result<Sample> {
            let client = self.client()?;
            self.ask(&client, start).await?;
            let (mut sample, begun) = (Sample::default(), Instant::now());
            let mut number = start;
            while begun.elapsed() < time {
                number += connections;
                let asked = Instant::now();
                let status = self.ask(&client, number).await?;
                sample.answered(status, asked.elapsed());
            }
            sample.seconds = begun.elapsed().as_secs_f64();
            Ok(sample)
        };
        let all = try_join_all((0..connections).map(one)).await?;
        Ok(all.iter().fold(Sample::default(), |mut sum, sample| {
            sum.merge(sample);
            sum
        }))
    }
}

/// Compares both ways; answers how long one mint takes (p50, in milliseconds).
async fn mints(
    backend: Backend,
    world: &World,
    effort: Effort,
    report: &mut Report,
) -> Result<f64> {
    let ours = through(world);
    say(format_args!(
        "{KEYS} first credentials, one after the other"
    ));
    let first = ours.client()?;
    for number in 0..KEYS {
        let status = ours.ask(&first, number).await?;
        if status != 200 {
            bail!("a first credential was answered {status}");
        }
    }
    let direct = directly(world).await?;
    let ways = [&direct, &ours];
    let mut samples = [const { Vec::new() }; 4];
    for round in 0..effort.rounds * 2 {
        let of = effort.rounds * 2;
        say(format_args!(
            "{backend}, credentials: round {} of {of}",
            round + 1
        ));
        for (index, connections) in [(0, 1), (2, TOGETHER)] {
            // Who goes first changes from round to round.
            for way in [round % 2, 1 - round % 2] {
                let sample = ways[way].run(connections, effort.slice).await?;
                samples[index + way].push(sample);
            }
        }
    }
    let [direct_one, ours_one, direct_many, ours_many] = &samples;
    for (way, connections, of) in [
        (&direct, 1, direct_one),
        (&ours, 1, ours_one),
        (&direct, TOGETHER, direct_many),
        (&ours, TOGETHER, ours_many),
    ] {
        let name = format!("{}, {connections} connection(s)", way.name);
        report.figures(&backend.to_string(), &name, way.expected, of);
        for sample in of {
            report.note_faults(&backend.to_string(), &name, &sample.faults(&[way.expected]));
        }
    }
    report.promise(
        format!("{backend}, real API server: time of `exec-credential` / of a direct TokenRequest (p50, 1 connection)"),
        Bound::AtMost(1.25),
        "",
        quantile_ratios((ours_one, 200), (direct_one, 201), 0.5),
    );
    report.promise(
        format!("{backend}, real API server: `exec-credential` / direct TokenRequests in a second ({TOGETHER} connections, {KEYS} keys)"),
        Bound::AtLeast(0.80),
        "",
        rate_ratios((ours_many, 200), (direct_many, 201)),
    );
    let mut all = Sample::default();
    for sample in ours_one {
        all.merge(sample);
    }
    all.quantile(200, 0.5).context("no credential was minted")
}

fn through(world: &World) -> Way {
    let url = format!(
        "http://{}/v1/kubernetes/namespaces/{}/exec-credential",
        world.server.address, world.namespace_id
    );
    let keys = (0..world.keys.len()).map(|key| world.keys.get(key).to_owned());
    Way {
        name: "`exec-credential`",
        expected: 200,
        urls: keys.map(|key| (url.clone(), Some(key))).collect(),
        bearer: None,
        body: String::new(),
        ca: None,
    }
}

/// As the server asks: by the same account, for the same identities.
async fn directly(world: &World) -> Result<Way> {
    let mut way = Way {
        name: "direct TokenRequest",
        expected: 201,
        urls: Vec::new(),
        bearer: Some(world.cluster_token()?.to_owned()),
        body: json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        })
        .to_string(),
        ca: Some(world.cluster_ca()?),
    };
    let url = format!("{}{IDENTITIES}", world.cluster_url()?);
    let request = way.client()?.get(&url).bearer_auth(world.cluster_token()?);
    let list: Value = request.send().await?.json().await?;
    let names = list["items"].as_array().context("no service accounts")?;
    let names = names
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str());
    way.urls = names
        .filter(|name| *name != "default")
        .map(|name| (format!("{url}/{name}/token"), None))
        .collect();
    if way.urls.len() < KEYS {
        bail!("{} identities for {KEYS} keys", way.urls.len());
    }
    Ok(way)
}
