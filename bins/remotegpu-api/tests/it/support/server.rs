//! A server process on free loopback ports.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use remotegpu_namespaces::ClusterName;
use remotegpu_test_support::{
    ports::free_port,
    postgres::{TestDatabase, TestPostgres},
};
use tempfile::TempDir;

use super::{Person, client};

pub const ADMIN_PASSWORD: &str = "test-Operator-Password-1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite and the embedded development cluster.
    Sqlite,
    /// PostgreSQL, and a development cluster that the test starts on its own.
    Postgres,
}

#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub backend: Backend,
    /// What it listens on.
    pub host: &'static str,
    /// Settings beside those that every test has, as flags without dashes.
    pub settings: Vec<(&'static str, String)>,
    /// Whether the operator's password is given, or printed once.
    pub given_password: bool,
    pub encrypted: bool,
    /// Of its address; the certificate may come from the settings.
    pub scheme: &'static str,
    /// Variables of the process, which has no others.
    pub environment: Vec<(&'static str, String)>,
}

impl ServerOptions {
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            host: "127.0.0.1",
            settings: vec![
                ("sign-up", "open".to_owned()),
                // Tests make more keys in a minute than people do.
                ("key-change-rate", "1000000".to_owned()),
            ],
            given_password: true,
            encrypted: false,
            scheme: "http",
            environment: Vec::new(),
        }
    }

    /// With a certificate that nobody has signed.
    pub fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self.scheme = "https";
        self
    }

    pub fn with(mut self, flag: &'static str, value: impl Into<String>) -> Self {
        self.settings.retain(|(key, _)| *key != flag);
        self.settings.push((flag, value.into()));
        self
    }
}

pub struct Server {
    pub url: String,
    pub internal_url: String,
    pub folder: TempDir,
    pub database: Option<TestDatabase>,
    pub dev_cluster: Option<DevCluster>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(ServerOptions::new(backend)).await
    }

    pub async fn start_with(options: ServerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, internal, dev_port) = (free_port(), free_port(), free_port());
        let host = options.host;
        let mut arguments = vec![
            format!("--listen={host}:{port}"),
            format!("--internal-listen={host}:{internal}"),
            format!("--data-dir={}", folder.path().join("data").display()),
        ];
        let (mut database, mut dev_cluster) = (None, None);
        let elsewhere = |flag: &str| ["clusters", "config", "database-url"].contains(&flag);
        let elsewhere = options.settings.iter().any(|(flag, _)| elsewhere(flag));
        match options.backend {
            Backend::Sqlite if elsewhere => {}
            Backend::Sqlite => {
                arguments.push(format!("--dev-cluster-listen={host}:{dev_port}"));
            }
            Backend::Postgres => {
                let created = TestPostgres::shared().unwrap().create_database().unwrap();
                arguments.push(format!("--database-url={}", created.url()));
                database = Some(created);
                if !elsewhere {
                    let (cluster, kubeconfig) = foreign_cluster(folder.path()).await;
                    arguments.push(format!("--clusters=eu={}", kubeconfig.display()));
                    dev_cluster = Some(cluster);
                }
            }
        }
        if options.given_password {
            let file = folder.path().join("admin-password");
            std::fs::write(&file, ADMIN_PASSWORD).unwrap();
            arguments.push(format!("--initial-admin-password-file={}", file.display()));
        }
        if options.encrypted {
            arguments.extend(certificate(folder.path()));
        }
        for (flag, value) in &options.settings {
            arguments.push(format!("--{flag}={value}"));
        }
        let scheme = options.scheme;
        let mut server = Self {
            url: format!("{scheme}://{host}:{port}"),
            internal_url: format!("http://{host}:{internal}"),
            folder,
            database,
            dev_cluster,
            arguments,
            environment: options.environment,
            child: None,
            log: Arc::default(),
        };
        server.run().await;
        server
    }

    /// Another instance on the same database and clusters.
    pub async fn second_instance(&self) -> Self {
        self.instance_in(tempfile::tempdir().unwrap()).await
    }

    /// Another instance with the same settings, whose data directory is `data` in this
    /// folder.
    pub async fn instance_in(&self, folder: TempDir) -> Self {
        let (port, internal) = (free_port(), free_port());
        let own = [
            "--listen=",
            "--internal-listen=",
            "--data-dir=",
            "--webhook-listen=",
        ];
        let mut arguments: Vec<String> = self
            .arguments
            .iter()
            .filter(|argument| !own.iter().any(|prefix| argument.starts_with(prefix)))
            .cloned()
            .collect();
        arguments.push(format!("--listen=127.0.0.1:{port}"));
        arguments.push(format!("--internal-listen=127.0.0.1:{internal}"));
        if self.webhook_listen().is_some() {
            arguments.push(format!("--webhook-listen=127.0.0.1:{}", free_port()));
        }
        arguments.push(format!(
            "--data-dir={}",
            folder.path().join("data").display()
        ));
        let (scheme, _) = self.url.split_once(':').unwrap();
        let mut server = Self {
            url: format!("{scheme}://127.0.0.1:{port}"),
            internal_url: format!("http://127.0.0.1:{internal}"),
            folder,
            database: None,
            dev_cluster: None,
            arguments,
            environment: self.environment.clone(),
            child: None,
            log: Arc::default(),
        };
        server.run().await;
        server
    }

    /// Starts the process and waits until it is ready.
    pub async fn run(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let mut child = command(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        let http = client();
        loop {
            if let Ok(answer) = http.get(format!("{}/readyz", self.url)).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the server ended: {ended:?}\n{}",
                self.log()
            );
            assert!(
                Instant::now() < deadline,
                "the server is not ready\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The binary with the server's settings and these arguments.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut all: Vec<String> = self.arguments.clone();
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut command = command(&all);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Runs it.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// The same with something to read.
    pub fn command_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.program(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// What an `admin` command prints, beside the running server.
    #[track_caller]
    pub fn admin(&self, arguments: &[&str]) -> String {
        let output = self.command(&[&["admin"], arguments].concat());
        assert!(output.status.success(), "admin {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Another user of this person's account, whose password is their own.
    pub async fn colleague(&self, person: &Person, email: &str, role: &str) -> Person {
        let account = person.account_id().await;
        let made = [
            "user",
            "create",
            email,
            "--account-id",
            &account,
            "--role",
            role,
        ];
        let once = self.admin(&made);
        let password = format!("password of {email}");
        let new = Person::sign_in(&self.url, email, once.trim()).await;
        let body = serde_json::json!({"current": once.trim(), "new": password});
        new.put("/v1/auth/password", body).await.expect(204);
        Person::sign_in(&self.url, email, &password).await
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Everything the process has written to stderr, since the first start.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    /// SIGTERM, and what the process ends with.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        terminate(child.id());
        child.wait().unwrap()
    }

    /// What the process ends with, after somebody has told it to.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub async fn restart(&mut self) {
        assert!(self.stop().success(), "{}", self.log());
        self.run().await;
    }

    /// The operator, signed in.
    pub async fn operator(&self) -> Person {
        Person::sign_in(&self.url, "admin@localhost", ADMIN_PASSWORD).await
    }

    /// Somebody with an account of their own.
    pub async fn person(&self, name: &str) -> Person {
        Person::sign_up(&self.url, name).await
    }

    /// What `/metrics` says at this moment.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.internal_url);
        client()
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    fn webhook_listen(&self) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        arguments.find_map(|argument| argument.strip_prefix("--webhook-listen="))
    }

    /// Where clusters ask.
    pub fn webhook_url(&self) -> String {
        format!("https://{}", self.webhook_listen().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A certificate for this machine, as the flags that name it.
fn certificate(folder: &Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    [
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
    ]
}

pub fn terminate(pid: u32) {
    let status = Command::new("kill")
        .arg("-TERM")
        .arg(pid.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// The binary, in an environment that says nothing.
pub fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remotegpu-api"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A cluster that the server knows from a kubeconfig alone.
pub async fn foreign_cluster(folder: &Path) -> (DevCluster, PathBuf) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = DevClusterConfig::new("127.0.0.1:0".parse().unwrap(), folder.join("cluster"));
    let cluster = DevCluster::start(config, None).await.unwrap();
    let admin = cluster.admin_kubeconfig();
    remotegpu_cluster::apply_prerequisites(&admin)
        .await
        .unwrap();
    let kubeconfig = remotegpu_cluster::control_plane_kubeconfig(&admin)
        .await
        .unwrap();
    let path = folder.join("eu.kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    let _ = ClusterName::parse("eu").unwrap();
    (cluster, path)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}
