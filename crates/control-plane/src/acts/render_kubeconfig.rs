//! A namespace's kubeconfig is rendered (contract X1 to X5).

use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, RenderError, render_exec};
use remotegpu_namespaces::{
    ClaimRepository, Cluster, ClusterDirectory, Namespace, NamespaceStatus,
};
use remotegpu_primitives::{InstallationId, StoreError};

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
    /// Of the account's namespaces none is active.
    #[error("The account has no namespace that is ready")]
    NoneReady,
    /// The configuration no longer names the namespace's cluster.
    #[error("The namespace's cluster is not available")]
    ClusterNotConfigured,
    /// The installation could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Renders the kubeconfig of an active namespace of the account. Its plugin calls `public_url`,
/// which has no slash at its end.
pub async fn render_kubeconfig(
    clusters: &dyn ClusterDirectory,
    claims: &dyn ClaimRepository,
    caller: &Caller<Read>,
    public_url: &str,
    namespace: &Namespace,
    plugin: Plugin,
) -> Result<RenderedKubeconfig, RenderKubeconfigError> {
    ready(caller, namespace)?;
    let cluster = clusters
        .find(&namespace.cluster)
        .ok_or(RenderKubeconfigError::ClusterNotConfigured)?;
    let installation = installation(claims).await?;
    let context = exec_context(cluster, installation, public_url, namespace);
    Ok(RenderedKubeconfig {
        filename: remotegpu_kubeconfig::filename(namespace.name.as_str()),
        yaml: render_exec(&[context], plugin)?,
    })
}

/// Whether the caller's account has the namespace, and it is active.
pub(super) fn ready(
    caller: &Caller<Read>,
    namespace: &Namespace,
) -> Result<(), RenderKubeconfigError> {
    if namespace.account_id != caller.account().id {
        return Err(RenderKubeconfigError::NotFound);
    }
    match namespace.status.known() {
        Some(NamespaceStatus::Active) => Ok(()),
        Some(NamespaceStatus::Deleting) => Err(RenderKubeconfigError::NotFound),
        // A newer version's word opens nothing either (contract R6).
        Some(NamespaceStatus::Provisioning | NamespaceStatus::Failed) | None => {
            Err(RenderKubeconfigError::NotReady)
        }
    }
}

/// The context in which `kubectl` reaches this namespace of this cluster.
pub(super) fn exec_context(
    cluster: Cluster,
    installation: InstallationId,
    public_url: &str,
    namespace: &Namespace,
) -> ExecContext {
    ExecContext {
        cluster: endpoint(cluster, installation),
        kubernetes_namespace: namespace.kubernetes_namespace.as_str().to_owned(),
        exec_credential_url: format!(
            "{public_url}/v1/kubernetes/namespaces/{}/exec-credential",
            namespace.id
        ),
    }
}

/// The cluster as a client reaches it, under a name that merges with others' (contract X3).
pub(super) fn endpoint(cluster: Cluster, installation: InstallationId) -> ClusterEndpoint {
    ClusterEndpoint {
        name: format!("{}-{}", cluster.name, told_apart(installation)),
        server: cluster.server,
        certificate_authority_pem: cluster.certificate_authority_pem,
    }
}

/// Which installation this is, as its database says.
pub(super) async fn installation(
    claims: &dyn ClaimRepository,
) -> Result<InstallationId, StoreError> {
    let installation = claims.installation().await?;
    installation.ok_or_else(|| StoreError::unavailable("no server has started on it yet"))
}

/// Six characters that tell this installation's clusters from those that others call the same
/// (contract X3): of the random end of its identifier, which the database keeps.
pub(crate) fn told_apart(installation: InstallationId) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = installation.as_uuid().as_u128();
    let letter = |place: u32| char::from(ALPHABET[(bits >> (5 * place)) as usize % 32]);
    (0..6).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn installations_are_told_apart_by_what_is_random_of_them() {
        // X3
        let told = |id: &str| told_apart(id.parse().unwrap());
        assert_eq!(told("0198f3a2-6f3e-7c11-9d51-2f4a00000000"), "aaaaaa");
        assert_eq!(told("0198f3a2-6f3e-7c11-9d51-2f4affffffff"), "777777");
        assert_eq!(told("0198f3a2-6f3e-7c11-9d51-2f4a00000021"), "bbaaaa");
        // Two that were made in the same millisecond.
        let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let made = (0..100).map(|_| told_apart(InstallationId::generate(now, &mut rng)));
        let made: HashSet<String> = made.collect();
        assert!(made.len() > 95, "{made:?}");
        let fits = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
        assert!(
            made.iter()
                .all(|one| one.len() == 6 && one.chars().all(fits))
        );
    }
}
