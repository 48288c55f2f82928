use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Plugin;
use crate::document::{Cluster, Context, Kubeconfig, NamedCluster, NamedContext, NamedUser, User};

/// A cluster as a client reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEndpoint {
    /// What the file calls the cluster, behind a prefix. Files are merged by it: what tells the
    /// cluster from others of the same name in other people's files belongs into it.
    pub name: String,
    /// The address of its API server, such as `https://fra1.clusters.example.com`.
    pub server: String,
    /// The certificate authority that signed the API server's certificate, as PEM; `None` where
    /// the client's own roots know it.
    pub certificate_authority_pem: Option<String>,
}

/// A namespace in a cluster, and where its credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecContext {
    /// The cluster that holds the namespace.
    pub cluster: ClusterEndpoint,
    /// The namespace's name in Kubernetes.
    pub kubernetes_namespace: String,
    /// The whole address of the namespace's `exec-credential` route.
    pub exec_credential_url: String,
}

/// Why a kubeconfig cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A kubeconfig needs a context.
    #[error("a kubeconfig needs at least one namespace")]
    NoContext,
    /// Two contexts name the same cluster and mean different servers.
    #[error("the cluster `{0}` is given with two addresses or certificate authorities")]
    ClusterConflict(String),
    /// Two contexts are for namespaces of the same name.
    #[error("the namespace `{0}` is given twice")]
    ContextConflict(String),
    /// The YAML library refused the document.
    #[error("the kubeconfig cannot be written as YAML")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Renders a kubeconfig whose users get their credentials from `plugin` (contract X1 to X5).
///
/// The first context is the current one; a cluster that several contexts share appears once. The
/// result holds no secret and ends with a newline.
///
/// # Errors
///
/// Without contexts, when two of them contradict each other, or when the YAML library fails.
pub fn render_exec(contexts: &[ExecContext], plugin: Plugin) -> Result<String, RenderError> {
    let names: Vec<String> = contexts
        .iter()
        .map(|context| prefixed(&context.kubernetes_namespace))
        .collect();
    let Some(current_context) = names.first() else {
        return Err(RenderError::NoContext);
    };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(RenderError::ContextConflict(
                contexts[index].kubernetes_namespace.clone(),
            ));
        }
    }
    let document = Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: distinct_clusters(contexts)?,
        contexts: contexts
            .iter()
            .zip(&names)
            .map(|(context, name)| NamedContext {
                name,
                context: Context {
                    cluster: prefixed(&context.cluster.name),
                    namespace: Some(&context.kubernetes_namespace),
                    user: name,
                },
            })
            .collect(),
        current_context,
        users: contexts
            .iter()
            .zip(&names)
            .map(|(context, name)| NamedUser {
                name,
                user: User::exec(plugin.exec(&context.exec_credential_url)),
            })
            .collect(),
    };
    document.to_yaml()
}

/// The name of the file that a namespace's kubeconfig is saved as (contract X1).
///
/// Characters that no namespace name has become `-`, so that the result is always one path
/// component.
pub fn filename(namespace_name: &str) -> String {
    let name: String = namespace_name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '-',
        })
        .collect();
    format!("kubeconfig-{name}.yaml")
}

pub(crate) fn prefixed(name: &str) -> String {
    format!("remotegpu-{name}")
}

fn distinct_clusters(contexts: &[ExecContext]) -> Result<Vec<NamedCluster<'_>>, RenderError> {
    let mut clusters: Vec<NamedCluster<'_>> = Vec::new();
    for ExecContext { cluster, .. } in contexts {
        let named = NamedCluster {
            name: prefixed(&cluster.name),
            cluster: Cluster {
                server: &cluster.server,
                certificate_authority_data: cluster
                    .certificate_authority_pem
                    .as_ref()
                    .map(|pem| STANDARD.encode(pem)),
            },
        };
        match clusters.iter().find(|known| known.name == named.name) {
            None => clusters.push(named),
            Some(known) if *known == named => {}
            Some(_) => return Err(RenderError::ClusterConflict(cluster.name.clone())),
        }
    }
    Ok(clusters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(cluster: &str, server: &str, namespace: &str) -> ExecContext {
        ExecContext {
            cluster: ClusterEndpoint {
                name: cluster.into(),
                server: server.into(),
                certificate_authority_pem: None,
            },
            kubernetes_namespace: namespace.into(),
            exec_credential_url: "https://api.example.com/x".into(),
        }
    }

    // X3
    #[test]
    fn contradicting_contexts_are_refused() {
        assert!(matches!(
            render_exec(&[], Plugin::Shell),
            Err(RenderError::NoContext)
        ));
        let two_servers = [
            context("a", "https://1", "one"),
            context("a", "https://2", "two"),
        ];
        assert!(matches!(
            render_exec(&two_servers, Plugin::Shell),
            Err(RenderError::ClusterConflict(name)) if name == "a"
        ));
        let same_namespace = [
            context("a", "https://1", "one"),
            context("b", "https://2", "one"),
        ];
        assert!(matches!(
            render_exec(&same_namespace, Plugin::Shell),
            Err(RenderError::ContextConflict(name)) if name == "one"
        ));
    }

    // X1
    #[test]
    fn a_file_name_is_one_path_component() {
        assert_eq!(filename("team-ml"), "kubeconfig-team-ml.yaml");
        assert_eq!(
            filename("../../etc/passwd"),
            "kubeconfig-..-..-etc-passwd.yaml"
        );
        assert_eq!(filename("a\\b\0\n"), "kubeconfig-a-b--.yaml");
    }
}
