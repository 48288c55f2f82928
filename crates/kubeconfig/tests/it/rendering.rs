//! What the kubeconfigs look like.

use remotegpu_kubeconfig::{
    ClusterEndpoint, ExecContext, Plugin, TokenContext, TokenNames, render_exec, render_token,
    token_in_file,
};

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

const ID: &str = "cwtoken-ab12cd34ef";
const TOKEN: &str = "rgat_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2bTQiP";

fn opened(cluster: &str, namespace: Option<&str>) -> TokenContext {
    TokenContext {
        cluster: context(cluster, "", "").cluster,
        unique_cluster_name: format!("remotegpu-{cluster}-k3m5q7"),
        kubernetes_namespace: namespace.map(str::to_owned),
    }
}

fn with_token(contexts: &[TokenContext], names: TokenNames) -> String {
    let rendered = render_token(contexts, ID, TOKEN, names).unwrap();
    assert_eq!(token_in_file(&rendered), Some(TOKEN));
    rendered
}

// T3
#[test]
fn a_token_for_one_cluster_has_the_documented_names() {
    let one = [opened("fra1", Some("team-ml-x7k2pq"))];
    insta::assert_snapshot!(with_token(&one, TokenNames::Reference));
}

// T3
#[test]
fn a_token_for_several_clusters_has_a_context_for_each() {
    let several = [opened("ams2", None), opened("fra1", Some("team-ml-x7k2pq"))];
    insta::assert_snapshot!(with_token(&several, TokenNames::Reference));
}

// T3
#[test]
fn names_of_its_own_hold_the_token_s_identifier() {
    let several = [opened("ams2", None), opened("fra1", None)];
    insta::assert_snapshot!(with_token(&several, TokenNames::Unique));
}

// H5
#[test]
fn what_is_no_such_file_is_not_taken_for_one() {
    let file = with_token(&[opened("fra1", None)], TokenNames::Reference);
    let of_namespace = render_exec(&[team_ml()], Plugin::Shell).unwrap();
    for bad in [
        "",
        "<html>",
        &file[1..],
        &format!("{file}\u{1b}"),
        &format!("{file}    token: another\n"),
        &of_namespace,
    ] {
        assert_eq!(token_in_file(bad), None, "{bad:?}");
    }
}
