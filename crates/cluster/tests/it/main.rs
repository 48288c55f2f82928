//! Tests over real TLS: the cluster conformance suite, which runs the same checks
//! on the development cluster and on a real control plane, and what only a server
//! that misbehaves can show.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "Everything here is a test, its helpers included."
)]

mod actor;
mod conformance;
mod misbehaving;
mod report;
mod subject;

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use remotegpu_dev_cluster::{DevCluster, DevClusterConfig};
use remotegpu_test_support::control_plane::ControlPlane;

use crate::subject::Subject;

/// The one provider of cryptography in the tree, for all tests of the process.
fn install_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_the_development_cluster() {
    install_ring();
    let folder = tempfile::tempdir().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let cluster = DevCluster::start(DevClusterConfig::new(listen, folder.path()), None);
    let cluster = cluster.await.unwrap();
    let subject = Subject::prepare(cluster.admin_kubeconfig()).await;
    conformance::run(&subject).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_a_real_control_plane() {
    install_ring();
    let Some(control_plane) = ControlPlane::start().await else {
        return;
    };
    let subject = Subject::prepare(control_plane.admin_kubeconfig().to_owned()).await;
    let mut checks = conformance::run(&subject).await;
    let audit_log = control_plane.audit_log();
    checks.extend(conformance::run_enforced(&subject, &audit_log).await);
    report::write(&subject, checks).await;
}

#[test]
fn without_a_control_plane_a_test_fails_in_ci_and_is_told_of_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("left-out");
    let test = "conformance_of_a_real_control_plane";
    let run = |ci: &str| -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("KUBEBUILDER_ASSETS", folder.path())
            .env("REMOTEGPU_LEFT_OUT", &told)
            .env("CI", ci)
            .env("NEXTEST_TEST_NAME", test)
            .output()
            .unwrap()
    };
    let output = run("");
    assert!(output.status.success(), "{output:?}");
    let line = format!("a real control plane\t{test}\n");
    assert_eq!(std::fs::read_to_string(&told).unwrap(), line);
    let output = run("true");
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("CI leaves nothing out"), "{said}");
}
