//! What the kubeconfigs look like.

use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, render_exec};

const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn context(cluster: &str, namespace: &str, id: &str) -> ExecContext {
    ExecContext {
        cluster: ClusterEndpoint {
            name: cluster.into(),
            server: format!("https://{cluster}.clusters.example.com:6443"),
            certificate_authority_pem: Some(CA.into()),
        },
        kubernetes_namespace: namespace.into(),
        exec_credential_url: format!(
            "https://api.example.com/v1/kubernetes/namespaces/{id}/exec-credential"
        ),
    }
}

fn team_ml() -> ExecContext {
    context(
        "fra1",
        "team-ml-x7k2pq",
        "0198c0de-0000-7000-8000-000000000001",
    )
}

// X2, X3, X4
#[test]
fn shell_kubeconfig_carries_the_script() {
    insta::assert_snapshot!(render_exec(&[team_ml()], Plugin::Shell).unwrap());
}

// X2, X3, X4
#[test]
fn remotegpu_kubeconfig_calls_the_binary() {
    insta::assert_snapshot!(render_exec(&[team_ml()], Plugin::Remotegpu).unwrap());
}

// X3, T7
#[test]
fn clusters_are_shared_and_the_first_context_is_current() {
    let contexts = [
        team_ml(),
        context(
            "ams2",
            "batch-aaaaaa",
            "0198c0de-0000-7000-8000-000000000002",
        ),
        context("fra1", "web-bbbbbb", "0198c0de-0000-7000-8000-000000000003"),
    ];
    insta::assert_snapshot!(render_exec(&contexts, Plugin::Remotegpu).unwrap());
}
