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

use std::net::SocketAddr;

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
        println!(
            "CLUSTER CONFORMANCE: THE REAL HALF DID NOT RUN: no etcd, kube-apiserver and \
             kube-controller-manager in KUBEBUILDER_ASSETS or /usr/local/kubebuilder/bin"
        );
        return;
    };
    let subject = Subject::prepare(control_plane.admin_kubeconfig().to_owned()).await;
    let mut checks = conformance::run(&subject).await;
    let audit_log = control_plane.audit_log();
    checks.extend(conformance::run_enforced(&subject, &audit_log).await);
    report::write(&subject, &checks).await;
}
