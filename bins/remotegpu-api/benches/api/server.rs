//! A real server, in a process of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use serde_json::Value;
use tempfile::TempDir;
use ureq::tls::TlsConfig;

use crate::{
    machine::cores,
    process::{Process, memory, settle},
    store::Store,
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_remotegpu-api");
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often a start is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A setting and its value, as a flag without dashes.
pub type Setting = (&'static str, String);

pub struct Server {
    pub address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub ready_after: Duration,
    scheme: &'static str,
    process: Process,
    arguments: Vec<String>,
    /// Its own data; absent where the store's is used.
    folder: Option<TempDir>,
}

impl Server {
    /// A server on a store, with its own data beside.
    pub fn start(store: &Store, settings: &[Setting]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = Self::start_in(store, folder.path(), settings)?;
        server.folder = Some(folder);
        Ok(server)
    }

    /// A server that keeps its data in `folder`.
    pub fn start_in(store: &Store, folder: &Path, settings: &[Setting]) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut arguments = vec![
            format!("--listen={address}"),
            format!("--internal-listen=127.0.0.1:{}", free_port()),
            format!("--http-workers={}", cores()),
            "--initial-admin-email=operator@example.org".to_owned(),
        ];
        arguments.extend(store.flags(folder)?);
        let brings_clusters = settings.iter().any(|(key, _)| *key == "clusters");
        if store.backend == crate::store::Backend::Sqlite && !brings_clusters {
            arguments.push(format!("--dev-cluster-listen=127.0.0.1:{}", free_port()));
        }
        for (key, value) in settings.iter().filter(|(key, _)| is_known(key)) {
            arguments.push(format!("--{key}={value}"));
        }
        let encrypted = settings.iter().any(|(key, _)| *key == "tls-cert");
        let scheme = if encrypted { "https" } else { "http" };
        let (process, ready_after) = run(scheme, address, &arguments)?;
        Ok(Self {
            address,
            ready_after,
            scheme,
            process,
            arguments,
            folder: None,
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it was started with.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Ends it in order and starts it again with the same data.
    pub fn restart(self) -> Result<Self> {
        let Self {
            address,
            scheme,
            process,
            arguments,
            folder,
            ..
        } = self;
        process.terminate()?;
        let (process, ready_after) = run(scheme, address, &arguments)?;
        Ok(Self {
            address,
            ready_after,
            scheme,
            process,
            arguments,
            folder,
        })
    }

    pub fn stop(self) -> Result<()> {
        self.process.terminate()
    }

    /// How many MB it holds now.
    pub fn resident(&self) -> Result<f64> {
        Ok(memory(self.pid())?.now)
    }

    /// A metric of one series, by its name without labels.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let flag = |argument: &String| {
            let address = argument.strip_prefix("--internal-listen=")?;
            Some(format!("http://{address}/metrics"))
        };
        let url = self
            .arguments
            .iter()
            .find_map(flag)
            .context("no internal listener")?;
        let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line
            .with_context(|| format!("no metric {name}"))?
            .trim()
            .parse()?)
    }

    /// Waits until it does nothing any more.
    pub fn settle(&self, limit: Duration) -> Result<Duration> {
        settle(self.pid(), limit)
    }

    /// A session token of this user's.
    pub fn sign_in(&self, email: &str, password: &str) -> Result<String> {
        let body = serde_json::json!({"email": email, "password": password, "cookie": false});
        let answer = self.post("/v1/auth/sign-in", None, &body)?;
        let token = answer["access_token"].as_str();
        token.map(str::to_owned).context("no access_token")
    }

    /// Posts JSON and answers JSON; what is no success is an error.
    pub fn post(&self, path: &str, session_token: Option<&str>, body: &Value) -> Result<Value> {
        let url = format!("{}://{}{path}", self.scheme, self.address);
        let mut request = ureq::post(&url);
        if let Some(token) = session_token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.send_json(body).with_context(|| url)?;
        Ok(answer.body_mut().read_json()?)
    }

    pub fn get(&self, path: &str, session_token: &str) -> Result<Value> {
        let url = format!("{}://{}{path}", self.scheme, self.address);
        let request = ureq::get(&url).header("authorization", format!("Bearer {session_token}"));
        Ok(request
            .call()
            .with_context(|| url)?
            .body_mut()
            .read_json()?)
    }
}

/// Starts the process and waits until it is ready.
fn run(scheme: &str, address: SocketAddr, arguments: &[String]) -> Result<(Process, Duration)> {
    let started = Instant::now();
    // The log goes nowhere: at thousands of lines a second whatever reads it would be
    // measured too.
    let mut process = Process::spawn("remotegpu-api", BINARY, arguments)?;
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(2)))
            // Its certificate was made for this run.
            .tls_config(TlsConfig::builder().disable_verification(true).build())
            .build(),
    );
    let url = format!("{scheme}://{address}/readyz");
    loop {
        if agent.get(&url).call().is_ok() {
            return Ok((process, started.elapsed()));
        }
        if process.ended()?.is_some() {
            bail!("remotegpu-api does not start: {}", why_not(arguments)?);
        }
        if started.elapsed() > READY_WITHIN {
            bail!("remotegpu-api is not ready after {READY_WITHIN:?}");
        }
        std::thread::sleep(LOOK);
    }
}

/// Starts it once more to hear what it says.
fn why_not(arguments: &[String]) -> Result<String> {
    let mut process = Process::spawn_with("remotegpu-api", BINARY, arguments, Stdio::piped())?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while process.ended()?.is_none() {
        if Instant::now() > deadline {
            return Ok("it did at the second try".to_owned());
        }
        std::thread::sleep(LOOK);
    }
    Ok(process.read_stderr())
}

/// Whether this version of the server has a setting. One that has no cache yet is
/// measured without it, and the report says so.
pub fn is_known(setting: &str) -> bool {
    static HELP: OnceLock<String> = OnceLock::new();
    let help = HELP.get_or_init(|| {
        let output = Command::new(BINARY).arg("--help").output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    });
    help.contains(&format!("--{setting} "))
}

/// A port that nobody listens on, below those that the system gives to connections: one
/// of these could take it before the server does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
