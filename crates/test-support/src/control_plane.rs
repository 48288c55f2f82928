//! A throwaway etcd, kube-apiserver and kube-controller-manager on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "Whoever starts one is a test, which fails by panicking."
)]

use std::{
    fs::File,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::json;
use tempfile::TempDir;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
};

use crate::{left_out::left_out, ports::free_port};

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];
const AUDIT_LOG: &str = "audit.log";
const AUDITED: &str = "system:serviceaccount:remotegpu-system:remotegpu-control-plane";
const PATIENCE: Duration = Duration::from_secs(90);

/// Dropping it ends what it started, the last first.
pub struct ControlPlane {
    admin_kubeconfig: String,
    running: Vec<Running>,
    folder: TempDir,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        while let Some(last) = self.running.pop() {
            drop(last);
        }
    }
}

/// A program under a shell that ends it as soon as its input is closed: when this
/// is dropped, and also when the whole test process is killed.
struct Running(Child);

impl Running {
    fn start(folder: &Path, program: &Path, arguments: &[String]) -> Self {
        let log = folder
            .join(program.file_name().unwrap())
            .with_extension("log");
        let log = File::create(log).unwrap();
        let script = r#""$@" & program=$!; cat > /dev/null; kill $program; wait $program"#;
        let child = Command::new("sh")
            .args(["-c", script, "sh", "nice"])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Where the programs are, by envtest's convention.
fn programs() -> PathBuf {
    let folder = std::env::var_os("KUBEBUILDER_ASSETS");
    folder.map_or_else(
        || PathBuf::from("/usr/local/kubebuilder/bin"),
        PathBuf::from,
    )
}

impl ControlPlane {
    /// Starts one, if its programs are there. Where they are not, the test is left out.
    ///
    /// # Panics
    /// They are missing in CI, or do not run; then the panic tells their log.
    pub async fn start() -> Option<Self> {
        Self::start_with(None).await
    }

    /// The same, whose API server asks as this file says who a token is.
    pub async fn start_asking(token_webhook: &str) -> Option<Self> {
        Self::start_with(Some(token_webhook)).await
    }

    async fn start_with(token_webhook: Option<&str>) -> Option<Self> {
        let programs = programs();
        let is_there = |program: &&str| programs.join(program).is_file();
        if let Some(missing) = PROGRAMS.iter().find(|program| !is_there(program)) {
            println!("there is no {missing} in {}", programs.display());
            left_out("a real control plane");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let [etcd, peer, api, controllers] = [(); 4].map(|()| free_port());
        let keys = Keys::make(at, api);
        let mut plane = Self {
            admin_kubeconfig: std::fs::read_to_string(&keys.admin).unwrap(),
            running: Vec::new(),
            folder,
        };
        let at = plane.folder.path().to_owned();
        let flags = etcd_flags(&at, etcd, peer);
        plane
            .running
            .push(Running::start(&at, &programs.join(PROGRAMS[0]), &flags));
        until("etcd", &at, async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, etcd)).is_ok()
        })
        .await;
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [AUDITED]}, {"level": "None"}],
        });
        std::fs::write(at.join("audit-policy.yaml"), policy.to_string()).unwrap();
        let mut flags = api_server_flags(&at, etcd, api);
        if let Some(config) = token_webhook {
            let file = at.join("token-webhook.yaml");
            std::fs::write(&file, config).unwrap();
            flags.extend([
                format!(
                    "--authentication-token-webhook-config-file={}",
                    file.display()
                ),
                "--authentication-token-webhook-version=v1".to_owned(),
                "--authentication-token-webhook-cache-ttl=10s".to_owned(),
            ]);
        }
        plane
            .running
            .push(Running::start(&at, &programs.join(PROGRAMS[1]), &flags));
        let admin = keys.agent();
        let answers = |path: &str| {
            admin
                .get(format!("https://127.0.0.1:{api}{path}"))
                .call()
                .is_ok()
        };
        until("kube-apiserver", &at, async || answers("/readyz")).await;
        let flags = controller_flags(&at, &keys.controllers, controllers);
        plane
            .running
            .push(Running::start(&at, &programs.join(PROGRAMS[2]), &flags));
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        until("kube-controller-manager", &at, async || answers(account)).await;
        Some(plane)
    }

    /// Where the API server writes down what the control plane of ours asks for.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join(AUDIT_LOG)
    }

    /// Who may do everything; it holds its certificates itself.
    pub fn admin_kubeconfig(&self) -> &str {
        &self.admin_kubeconfig
    }
}

async fn until(program: &str, folder: &Path, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        if began.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(folder.join(program).with_extension("log"));
            panic!("{program} is not up: {}", log.unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn etcd_flags(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_flags(folder: &Path, etcd: u16, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--cert-dir={}", folder.display()),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--authorization-mode=RBAC".to_owned(),
        // As everybody's installer sets it: Pod Security is what refuses.
        "--allow-privileged=true".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.yaml")),
        format!("--audit-log-path={}", file(AUDIT_LOG)),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
    ]
}

fn controller_flags(folder: &Path, kubeconfig: &Path, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--authentication-kubeconfig={}", kubeconfig.display()),
        format!("--authorization-kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("controller-certs")),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={}", file("sa.key")),
        format!("--root-ca-file={}", file("ca.crt")),
    ]
}

/// What clients need; all else stands in files under the names that the flags say.
struct Keys {
    admin: PathBuf,
    controllers: PathBuf,
    folder: PathBuf,
}

impl Keys {
    fn make(folder: &Path, api: u16) -> Self {
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        let signer = KeyPair::generate().unwrap();
        write("sa.key", signer.serialize_pem());
        write("sa.pub", signer.public_key_pem());

        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "throwaway");
        let ca_key = KeyPair::generate().unwrap();
        write("ca.crt", ca.self_signed(&ca_key).unwrap().pem());
        let ca = Issuer::new(ca, ca_key);

        let names = [
            "localhost",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.0.0.1",
        ];
        let server = CertificateParams::new(names.map(str::to_owned)).unwrap();
        let key = KeyPair::generate().unwrap();
        write("apiserver.crt", server.signed_by(&key, &ca).unwrap().pem());
        write("apiserver.key", key.serialize_pem());

        let client = |name: &str, group: Option<&str>| {
            let mut client = CertificateParams::default();
            client.distinguished_name.push(DnType::CommonName, name);
            if let Some(group) = group {
                client
                    .distinguished_name
                    .push(DnType::OrganizationName, group);
            }
            client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate().unwrap();
            let file = name.replace(':', "-");
            write(
                &format!("{file}.crt"),
                client.signed_by(&key, &ca).unwrap().pem(),
            );
            write(&format!("{file}.key"), key.serialize_pem());
            kubeconfig(folder, &file, api)
        };
        Self {
            admin: client("admin", Some("system:masters")),
            controllers: client("system:kube-controller-manager", None),
            folder: folder.to_owned(),
        }
    }

    /// Somebody who may do everything.
    fn agent(&self) -> Agent {
        let read = |name: &str| std::fs::read(self.folder.join(name)).unwrap();
        let certificate = |name: &str| Certificate::from_pem(&read(name)).unwrap();
        let key = PrivateKey::from_pem(&read("admin.key")).unwrap();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[certificate("ca.crt")]))
            .client_cert(Some(ClientCert::new_with_certs(
                &[certificate("admin.crt")],
                key,
            )))
            .build();
        let config = Agent::config_builder().tls_config(tls).proxy(None);
        let config = config.timeout_global(Some(Duration::from_secs(5)));
        config.build().new_agent()
    }
}

fn kubeconfig(folder: &Path, user: &str, api: u16) -> PathBuf {
    let data = |name: &str| STANDARD.encode(std::fs::read(folder.join(name)).unwrap());
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "real", "cluster": {
            "server": format!("https://127.0.0.1:{api}"),
            "certificate-authority-data": data("ca.crt"),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate-data": data(&format!("{user}.crt")),
            "client-key-data": data(&format!("{user}.key")),
        }}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": user}}],
        "current-context": "real",
    });
    let path = folder.join(user).with_extension("kubeconfig");
    std::fs::write(&path, document.to_string()).unwrap();
    path
}
