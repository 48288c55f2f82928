//! The kubeconfig with a token for one namespace (contract T9).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::{Cluster, Context, Kubeconfig, NamedCluster, NamedContext, NamedUser, User};
use crate::exec::prefixed;
use crate::{ClusterEndpoint, RenderError};

/// A kubeconfig that holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainKubeconfig(String);

impl PlainKubeconfig {
    /// The file's content, for the answer that hands it out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainKubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKubeconfig")
    }
}

/// Renders a kubeconfig whose user brings a token of the cluster itself. Its names merge with
/// those of [`render_exec`](crate::render_exec): the same cluster, and another context. `head`
/// stands above all else as a comment, line by line.
///
/// # Errors
///
/// When the YAML library fails.
pub fn render_namespace_token(
    head: &str,
    cluster: &ClusterEndpoint,
    kubernetes_namespace: &str,
    token: &str,
) -> Result<PlainKubeconfig, RenderError> {
    // No namespace is called so: each ends in six random characters.
    let name = prefixed(&format!("{kubernetes_namespace}-token"));
    let certificate_authority = cluster.certificate_authority_pem.as_ref();
    let document = Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: vec![NamedCluster {
            name: prefixed(&cluster.name),
            cluster: Cluster {
                server: &cluster.server,
                certificate_authority_data: certificate_authority.map(|pem| STANDARD.encode(pem)),
            },
        }],
        contexts: vec![NamedContext {
            name: &name,
            context: Context {
                cluster: prefixed(&cluster.name),
                namespace: Some(kubernetes_namespace),
                user: &name,
            },
        }],
        current_context: &name,
        users: vec![NamedUser {
            name: &name,
            user: User::token(token),
        }],
    };
    // Whatever a reader of YAML may take for the end of a line ends one here.
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = head.split(breaks);
    let comment: String = lines
        .map(|line| format!("# {line}").trim_end().to_owned() + "\n")
        .collect();
    Ok(PlainKubeconfig(comment + &document.to_yaml()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_it_is_and_nothing_leaves_the_comment() {
        // X5, T9
        let cluster = ClusterEndpoint {
            name: "fra1-k3m5q7".into(),
            server: "https://fra1.example.com".into(),
            certificate_authority_pem: None,
        };
        let head = "one\nusers: []\rusers: []\u{2028}users: []\n\nend";
        let file = render_namespace_token(head, &cluster, "team-ml-x7k2pq", "t0k3n").unwrap();
        assert_eq!(format!("{file:?}"), "PlainKubeconfig");
        let (comment, rest) = file.reveal().split_once("apiVersion").unwrap();
        assert!(
            comment.lines().all(|line| line.starts_with('#')),
            "{comment}"
        );
        assert_eq!(comment.lines().count(), 6);
        for line in [
            "current-context: remotegpu-team-ml-x7k2pq-token",
            "- name: remotegpu-fra1-k3m5q7",
            "namespace: team-ml-x7k2pq",
            "token: t0k3n",
        ] {
            assert!(
                rest.lines().any(|found| found.trim() == line),
                "{line} in {rest}"
            );
        }
        assert!(!rest.contains('#'), "{rest}");
    }
}
