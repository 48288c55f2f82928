//! A namespace's kubeconfig is rendered (contract X1 to X5).

use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, RenderError, render_exec};
use remotegpu_namespaces::{ClusterDirectory, Namespace, NamespaceStatus};

/// A kubeconfig, and the file it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedKubeconfig {
    /// `kubeconfig-<name>.yaml`, with the name of today.
    pub filename: String,
    /// The file's content: YAML without a secret.
    pub yaml: String,
}

/// There is no kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum RenderKubeconfigError {
    /// The namespace is being deleted: it does not exist any more.
    #[error("the namespace is being deleted")]
    Deleting,
    /// The namespace is not active yet.
    #[error("The namespace is not ready yet")]
    NotReady,
    /// The configuration no longer names the namespace's cluster.
    #[error("The namespace's cluster is not available")]
    ClusterNotConfigured,
    /// The file could not be written.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Renders the kubeconfig of an active namespace. Its plugin calls `public_url`,
/// which has no slash at its end.
pub fn render_namespace_kubeconfig(
    clusters: &dyn ClusterDirectory,
    public_url: &str,
    namespace: &Namespace,
    plugin: Plugin,
) -> Result<RenderedKubeconfig, RenderKubeconfigError> {
    match namespace.status.known() {
        Some(NamespaceStatus::Active) => {}
        Some(NamespaceStatus::Deleting) => return Err(RenderKubeconfigError::Deleting),
        // A newer version's word opens nothing either (contract R6).
        Some(NamespaceStatus::Provisioning | NamespaceStatus::Failed) | None => {
            return Err(RenderKubeconfigError::NotReady);
        }
    }
    let cluster = clusters
        .find(&namespace.cluster)
        .ok_or(RenderKubeconfigError::ClusterNotConfigured)?;
    let context = ExecContext {
        cluster: ClusterEndpoint {
            name: cluster.name.as_str().to_owned(),
            server: cluster.server,
            certificate_authority_pem: cluster.certificate_authority_pem,
        },
        kubernetes_namespace: namespace.kubernetes_namespace.as_str().to_owned(),
        exec_credential_url: format!(
            "{public_url}/v1/kubernetes/namespaces/{}/exec-credential",
            namespace.id
        ),
    };
    Ok(RenderedKubeconfig {
        filename: remotegpu_kubeconfig::filename(namespace.name.as_str()),
        yaml: render_exec(&[context], plugin)?,
    })
}
