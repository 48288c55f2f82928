//! One kubeconfig for all that an account has is rendered (contract T7).

use remotegpu_kubeconfig::{Plugin, render_exec};
use remotegpu_namespaces::{
    ClaimRepository, ClusterDirectory, KubernetesNamespaceName, Namespace, NamespaceRepository,
    NamespaceStatus,
};
use remotegpu_primitives::PageRequest;

use super::render_kubeconfig::{
    RenderKubeconfigError, RenderedKubeconfig, exec_context, installation,
};
use crate::{Caller, Read};

/// What [`render_account_kubeconfig`] asks.
#[derive(Clone, Copy)]
pub struct AccountKubeconfigPorts<'a> {
    /// The account's namespaces.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Where their clusters are.
    pub clusters: &'a dyn ClusterDirectory,
    /// Which installation this is.
    pub claims: &'a dyn ClaimRepository,
}

/// A kubeconfig for several namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountKubeconfig {
    /// The namespaces that it opens, the current one first.
    pub kubernetes_namespaces: Vec<KubernetesNamespaceName>,
    /// The file.
    pub file: RenderedKubeconfig,
}

/// Renders one kubeconfig for the account's active namespaces over all clusters that the
/// configuration names, without a secret: a context for each, the oldest first, which is the
/// current one, so that what comes later changes nothing. Its plugin calls `public_url`, which
/// has no slash at its end.
pub async fn render_account_kubeconfig(
    ports: AccountKubeconfigPorts<'_>,
    caller: &Caller<Read>,
    public_url: &str,
    plugin: Plugin,
) -> Result<AccountKubeconfig, RenderKubeconfigError> {
    let AccountKubeconfigPorts {
        namespaces,
        clusters,
        claims,
    } = ports;
    let account = caller.account();
    let (mut active, mut after) = (Vec::new(), None);
    while let Ok(request) = PageRequest::new(PageRequest::MAX_LIMIT, after) {
        let page = namespaces.list(account.id, request).await?;
        let is_active = |one: &Namespace| one.status == NamespaceStatus::Active;
        active.extend(page.items.into_iter().filter(is_active));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if active.is_empty() {
        return Err(RenderKubeconfigError::NoneReady);
    }
    active.reverse();
    let installation = installation(claims).await?;
    let (mut contexts, mut kubernetes_namespaces) = (Vec::new(), Vec::new());
    for namespace in &active {
        if let Some(cluster) = clusters.find(&namespace.cluster) {
            contexts.push(exec_context(cluster, installation, public_url, namespace));
            kubernetes_namespaces.push(namespace.kubernetes_namespace.clone());
        }
    }
    if contexts.is_empty() {
        return Err(RenderKubeconfigError::ClusterNotConfigured);
    }
    let file = RenderedKubeconfig {
        filename: remotegpu_kubeconfig::filename(account.name.as_str()),
        yaml: render_exec(&contexts, plugin)?,
    };
    Ok(AccountKubeconfig {
        kubernetes_namespaces,
        file,
    })
}
