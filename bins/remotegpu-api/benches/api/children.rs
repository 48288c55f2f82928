//! What runs beside the servers in processes of its own, so that its work is not the
//! load generator's.

mod delay;
mod list_server;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, rt::System, web};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use tempfile::TempDir;

use crate::{machine::cores, process::Process, server::free_port};

const READY_WITHIN: Duration = Duration::from_secs(30);
const KUBECONFIG: &str = "slow.kubeconfig";

/// What a process of this program is, if not the benchmark itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChildRole {
    /// The least that actix can do for a request.
    EmptyRoute,
    /// A development cluster that answers so much later.
    SlowCluster,
    /// A cluster that does nothing but list identities.
    ListServer,
}

/// Runs such a process until it is killed.
pub fn run_child(
    role: ChildRole,
    port: u16,
    folder: Option<&Path>,
    delay: Duration,
    objects: usize,
) -> Result<()> {
    match role {
        ChildRole::ListServer => list_server::run(port, folder.context("--child-folder")?, objects),
        ChildRole::EmptyRoute => empty_route(port),
        ChildRole::SlowCluster => slow_cluster(port, folder.context("--child-folder")?, delay),
    }
}

fn empty_route(port: u16) -> Result<()> {
    let app = || App::new().route("/", web::get().to(HttpResponse::Ok));
    let server = HttpServer::new(app)
        .workers(cores())
        .bind((Ipv4Addr::LOCALHOST, port))?
        .run();
    Ok(System::new().block_on(server)?)
}

/// The cluster listens where the system likes, its slow way on `port`.
fn slow_cluster(port: u16, folder: &Path, delay: Duration) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let config = DevClusterConfig::new("127.0.0.1:0".parse()?, folder.join("cluster"));
        let cluster = DevCluster::start(config, None).await?;
        let admin = cluster.admin_kubeconfig();
        remotegpu_cluster::apply_prerequisites(&admin).await?;
        let kubeconfig = remotegpu_cluster::control_plane_kubeconfig(&admin).await?;
        let slow = format!("https://127.0.0.1:{port}");
        let kubeconfig = kubeconfig.replace(&cluster.server_url(), &slow);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        // Written last and under another name first: whoever sees it may use it.
        let (unfinished, path) = (folder.join("unfinished"), folder.join(KUBECONFIG));
        std::fs::write(&unfinished, kubeconfig)?;
        std::fs::rename(&unfinished, &path)?;
        delay::relay(listener, cluster.local_addr(), delay).await
    })
}

/// The empty route, running.
pub struct EmptyRoute {
    pub address: SocketAddr,
    process: Process,
}

impl EmptyRoute {
    pub fn start() -> Result<Self> {
        let port = free_port();
        let mut process = spawn("empty-route", port, &[])?;
        let url = format!("http://127.0.0.1:{port}/");
        wait_for("the empty route", &mut process, || {
            ureq::get(&url).call().is_ok()
        })?;
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            process,
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The slowed cluster, running.
pub struct SlowCluster {
    folder: TempDir,
    _process: Process,
}

impl SlowCluster {
    /// One that answers so much later than it would.
    pub fn start(delay: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = [
            format!("--child-folder={}", folder.path().display()),
            format!("--child-delay-ms={}", delay.as_millis()),
        ];
        let mut process = spawn("slow-cluster", free_port(), &arguments)?;
        let kubeconfig = folder.path().join(KUBECONFIG);
        wait_for("the cluster", &mut process, || kubeconfig.exists())?;
        Ok(Self {
            folder,
            _process: process,
        })
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(KUBECONFIG)
    }
}

/// A cluster that lists so many identities, running.
pub struct ListServer {
    folder: TempDir,
    port: u16,
    _process: Process,
}

/// The sweeps that a list server has seen from their first page to their last.
#[derive(Debug, Clone, Copy)]
pub struct SweepsSeen {
    pub count: u64,
    /// How long the last of them took.
    pub took: Duration,
}

impl ListServer {
    pub fn start(objects: usize) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let arguments = [
            format!("--child-folder={}", folder.path().display()),
            format!("--child-objects={objects}"),
        ];
        let mut process = spawn("list-server", port, &arguments)?;
        let kubeconfig = folder.path().join(KUBECONFIG);
        wait_for("the list server", &mut process, || kubeconfig.exists())?;
        Ok(Self {
            folder,
            port,
            _process: process,
        })
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(KUBECONFIG)
    }

    pub fn sweeps(&self) -> Result<SweepsSeen> {
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                // Its certificate was made for this run.
                .tls_config(
                    ureq::tls::TlsConfig::builder()
                        .disable_verification(true)
                        .build(),
                )
                .build(),
        );
        let url = format!("https://127.0.0.1:{}{}", self.port, list_server::SWEEPS);
        let seen: serde_json::Value = agent.get(&url).call()?.body_mut().read_json()?;
        let number = |member: &str| seen[member].as_u64().context("no number of sweeps");
        Ok(SweepsSeen {
            count: number("count")?,
            took: Duration::from_millis(number("took_ms")?),
        })
    }
}

fn spawn(role: &str, port: u16, further: &[String]) -> Result<Process> {
    let program = std::env::current_exe()?;
    let program = program.to_str().context("the program's path")?;
    let mut arguments = vec![format!("--child={role}"), format!("--child-port={port}")];
    arguments.extend_from_slice(further);
    Process::spawn(role, program, &arguments)
}

fn wait_for(what: &str, process: &mut Process, is_there: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while !is_there() {
        if let Some(status) = process.ended()? {
            bail!("{what} ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("{what} is not ready after {READY_WITHIN:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
