//! What it costs to be asked who a token is: of one that is remembered, of one that the
//! database is asked for, and of junk, which falls at its checksum (contract T6).

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset, PASSWORD, email},
    process::{cpu_seconds, settle},
    progress::say,
    report::{Bound, Report},
    server::{BINARY, Server, Setting, free_port},
    store::{Backend, Store},
};

/// How many connections API servers have.
const CONNECTIONS: usize = 8;
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let data = Dataset::generate(&[Accounts::for_keys(effort.few_keys)])?;
    let store = Store::filled(backend, &data)?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let warm = Asked::start(&store, folder.path(), &[])?;
    let junk = format!("{}_", &warm.token[..warm.token.len() - 1]);
    let (mut good, mut falling) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        let (number, of) = (round + 1, effort.rounds);
        say(format_args!("{backend}, reviews: round {number} of {of}"));
        good.push(runtime.block_on(warm.load(&warm.token, true, effort))?);
        falling.push(runtime.block_on(warm.load(&junk, false, effort))?);
    }
    warm.server.stop()?;
    let mut cold = Vec::new();
    let unremembered = [("key-cache-size", "0".to_owned())];
    let asked = Asked::start(&store, folder.path(), &unremembered)?;
    for _ in 0..effort.rounds {
        cold.push(runtime.block_on(asked.load(&asked.token, true, effort))?);
    }
    asked.server.stop()?;

    let p99 = |slices: &[Slice]| slices.iter().map(|slice| slice.p99).collect();
    let cpu = |of: &[Slice], to: &[Slice]| {
        let pairs = of.iter().zip(to);
        pairs.map(|(of, to)| of.cpu_each / to.cpu_each).collect()
    };
    report.promise(
        format!("{backend}: a review of a remembered token (p99)"),
        Bound::AtMost(2.0),
        " ms",
        p99(&good),
    );
    report.shown(
        format!("{backend}: a review by a query (p99)"),
        " ms",
        p99(&cold),
    );
    report.promise(
        format!("{backend}: processor for junk / for a token that is asked for"),
        Bound::AtMost(0.2),
        "",
        cpu(&falling, &cold),
    );
    let what = format!("{backend}: processor for junk / for a remembered token");
    report.shown(what, "", cpu(&falling, &good));
    let each = good.iter().map(|slice| slice.cpu_each * 1e6).collect();
    report.shown(format!("{backend}: processor for a review"), " us", each);
    Ok(())
}

/// What a slice of load has shown.
struct Slice {
    /// In milliseconds.
    p99: f64,
    /// The server's processor time for a review, in seconds.
    cpu_each: f64,
}

/// A server that a cluster asks, by a token that is good there.
struct Asked {
    server: Server,
    client: Client,
    url: String,
    credential: String,
    token: String,
}

impl Asked {
    fn start(store: &Store, folder: &Path, more: &[Setting]) -> Result<Self> {
        let mut settings = settings(folder)?;
        settings.extend(more.iter().cloned());
        let server = Server::start(store, &settings)?;
        let printed = Command::new(BINARY)
            .args(server.arguments())
            .args(["cluster", "manifest", "--token-webhook", "eu"])
            .env_clear()
            .output()?;
        if !printed.status.success() {
            bail!("{}", String::from_utf8_lossy(&printed.stderr));
        }
        let file: Value = serde_saphyr::from_slice(&printed.stdout)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let url = text(&file["clusters"][0]["cluster"]["server"]).context("no address")?;
        let credential = text(&file["users"][0]["user"]["token"]).context("no credential")?;
        let session = server.sign_in(&email(0), PASSWORD)?;
        let body = json!({"name": "bench", "clusters": ["eu"], "expires_in_seconds": 86_400});
        let made = server.post("/v1/account/access-tokens", Some(&session), &body)?;
        Ok(Self {
            server,
            client: Client::builder()
                .no_proxy()
                .tls_danger_accept_invalid_certs(true)
                .build()?,
            url,
            credential,
            token: text(&made["token"]).context("no token")?,
        })
    }

    async fn load(&self, token: &str, authenticated: bool, effort: Effort) -> Result<Slice> {
        let review = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "spec": {"token": token},
        });
        let review = review.to_string();
        self.ask(&review, authenticated, effort.warm_up).await?;
        let before = cpu_seconds(self.server.pid())?;
        let mut times = self.ask(&review, authenticated, effort.slice).await?;
        let took = cpu_seconds(self.server.pid())? - before;
        settle(self.server.pid(), SETTLE_WITHIN)?;
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).context("no answers")?;
        let count = u32::try_from(times.len())?;
        Ok(Slice {
            p99: p99.as_secs_f64() * 1e3,
            cpu_each: took / f64::from(count),
        })
    }

    /// How long each of the answers took that came within this time.
    async fn ask(
        &self,
        review: &str,
        authenticated: bool,
        within: Duration,
    ) -> Result<Vec<Duration>> {
        let until = Instant::now() + within;
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let request = self.client.post(&self.url).bearer_auth(&self.credential);
            let request = request.header("content-type", "application/json");
            let request = request.body(review.to_owned());
            clients.spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    let again = request
                        .try_clone()
                        .context("a body that cannot be repeated")?;
                    let answer: Value = again.send().await?.json().await?;
                    times.push(began.elapsed());
                    if answer["status"]["authenticated"] != authenticated {
                        bail!("{answer}");
                    }
                }
                Ok(times)
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = clients.join_next().await {
            all.extend(ended??);
        }
        Ok(all)
    }
}

/// A listener for the cluster `eu`, which nobody has to reach.
fn settings(folder: &Path) -> Result<Vec<Setting>> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok::<_, anyhow::Error>(path.display().to_string())
    };
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "eu", "cluster": {
            "server": "https://127.0.0.1:1",
            "certificate-authority-data": STANDARD.encode(made.cert.pem()),
        }}],
        "users": [{"name": "nobody", "user": {"token": "none"}}],
        "contexts": [{"name": "eu", "context": {"cluster": "eu", "user": "nobody"}}],
        "current-context": "eu",
    });
    let kubeconfig = write("eu.kubeconfig", kubeconfig.to_string())?;
    Ok(vec![
        ("clusters", format!("eu={kubeconfig}")),
        ("webhook-listen", format!("127.0.0.1:{}", free_port())),
        ("webhook-tls-cert", write("tls.crt", made.cert.pem())?),
        (
            "webhook-tls-key",
            write("tls.key", made.signing_key.serialize_pem())?,
        ),
    ])
}
