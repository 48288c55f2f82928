//! The kubeconfig in the hands of the program it is for.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use remotegpu_kubeconfig::{ClusterEndpoint, Plugin, render_exec};
use rustls::{ServerConnection, StreamOwned};

use crate::canned_server::{CannedServer, http, read_head};
use crate::left_out::left_out;
use crate::plugin_shell::{CREDENTIAL, KEY, context, find_program, problem};
use crate::self_signed::self_signed;

const VERSION: &str = r#"{"gitVersion":"v1"}"#;

/// A cluster that knows one answer. kubectl sends credentials over TLS alone.
struct Cluster {
    endpoint: ClusterEndpoint,
    requests: Receiver<String>,
}

impl Cluster {
    fn start() -> Self {
        let (config, ca) = self_signed(["127.0.0.1"]);
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = ClusterEndpoint {
            name: "dev".into(),
            server: format!("https://{}", listener.local_addr().unwrap()),
            certificate_authority_pem: Some(ca),
        };
        let (sender, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let _ = sender.send(read_head(&mut stream));
                let _ = stream.write_all(&http(200, VERSION.as_bytes()));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { endpoint, requests }
    }
}

fn kubectl(kubectl: &Path, credentials: &CannedServer, cluster: &Cluster) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig.yaml");
    let mut context = context(&credentials.url);
    context.cluster = cluster.endpoint.clone();
    fs::write(&file, render_exec(&[context], Plugin::Shell).unwrap()).unwrap();
    Command::new(kubectl)
        .args(["get", "--raw", "/version", "--kubeconfig"])
        .arg(&file)
        .env("HOME", folder.path())
        .env("REMOTEGPU_API_KEY", KEY)
        .output()
        .unwrap()
}

// X2, X3, X4
#[test]
fn kubectl_runs_the_plugin_and_uses_its_credential() {
    let Some(program) = find_program("kubectl") else {
        left_out("kubectl");
        return;
    };
    let cluster = Cluster::start();

    let credentials = CannedServer::with_status(200, CREDENTIAL);
    let output = kubectl(&program, &credentials, &cluster);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), VERSION);
    let request = cluster.requests.recv_timeout(Duration::from_secs(5));
    let request = request.unwrap();
    assert!(
        request.contains("Bearer header.pay-load.signature\r\n"),
        "{request}"
    );

    let cluster = Cluster::start();
    let credentials = CannedServer::with_status(401, &problem("Invalid API key"));
    let output = kubectl(&program, &credentials, &cluster);
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("remotegpu: Invalid API key\n"), "{stderr}");
    assert!(!stderr.contains(KEY), "{stderr}");
    assert!(
        cluster.requests.try_recv().is_err(),
        "the cluster was asked"
    );
}
