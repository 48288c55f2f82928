//! A namespace's kubeconfig is rendered (contract X1 to X5).

use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, RenderError, render_exec};
use remotegpu_namespaces::{ClusterDirectory, Namespace, NamespaceStatus};

use crate::{Caller, Read};

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
    /// The account has no such namespace, or it is being deleted.
    #[error("there is no such namespace")]
    NotFound,
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

/// Renders the kubeconfig of an active namespace of the account. Its plugin calls `public_url`,
/// which has no slash at its end.
pub fn render_kubeconfig(
    clusters: &dyn ClusterDirectory,
    caller: &Caller<Read>,
    public_url: &str,
    namespace: &Namespace,
    plugin: Plugin,
) -> Result<RenderedKubeconfig, RenderKubeconfigError> {
    if namespace.account_id != caller.account().id {
        return Err(RenderKubeconfigError::NotFound);
    }
    match namespace.status.known() {
        Some(NamespaceStatus::Active) => {}
        Some(NamespaceStatus::Deleting) => return Err(RenderKubeconfigError::NotFound),
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
