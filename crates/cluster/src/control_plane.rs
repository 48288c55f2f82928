//! The control plane's own credential in a cluster that we run ourselves.

use kube::config::{AuthInfo, Context, NamedAuthInfo, NamedContext, NamedExtension};
use remotegpu_namespaces::{ClusterError, ClusterName};
use serde_json::json;

use crate::{
    connection::{ClusterConnection, ConnectError, Opened, find_context, parse},
    credential::{RENEWAL, RenewedToken},
    prerequisites::{CONTROL_PLANE, SYSTEM_NAMESPACE},
};

/// A connection to a cluster with the control plane's least rights, for a
/// cluster whose administrator's kubeconfig we hold: the embedded development
/// cluster. The cluster has to be up, with its prerequisites applied.
pub async fn control_plane_connection(
    name: ClusterName,
    title: String,
    admin_kubeconfig: &str,
) -> Result<ClusterConnection, ConnectError> {
    let kubeconfig = control_plane_kubeconfig(admin_kubeconfig).await?;
    Ok(ClusterConnection {
        name,
        title,
        kubeconfig,
        context: None,
        public_server: None,
        public_ca_pem: None,
    })
}

/// A kubeconfig whose current context is the control plane's `ServiceAccount`.
/// It holds no token: an extension of its user says which account it is and
/// which other context mints for it, and [`crate::KubeClusters`] mints for an
/// hour and again after half of it. Nothing else understands the extension, and
/// the text holds the administrator's credential: it is no file to hand around.
pub async fn control_plane_kubeconfig(admin_kubeconfig: &str) -> Result<String, ConnectError> {
    let mut kubeconfig = parse(ADMIN, admin_kubeconfig)?;
    let admin = find_context(ADMIN, &kubeconfig, None)?;
    let contexts = kubeconfig.contexts.iter();
    let admin_context = contexts
        .filter(|named| named.name == admin)
        .find_map(|named| named.context.clone())
        .ok_or_else(|| ConnectError::UnknownContext {
            cluster: ADMIN.to_owned(),
            context: admin.clone(),
        })?;
    let extension = NamedExtension {
        name: RENEWAL.to_owned(),
        extension: json!({
            "context": admin,
            "namespace": SYSTEM_NAMESPACE,
            "name": CONTROL_PLANE,
        }),
    };
    kubeconfig.auth_infos.push(NamedAuthInfo {
        name: CONTROL_PLANE.to_owned(),
        auth_info: Some(AuthInfo {
            extensions: Some(vec![extension]),
            ..AuthInfo::default()
        }),
        ..NamedAuthInfo::default()
    });
    kubeconfig.contexts.push(NamedContext {
        name: CONTROL_PLANE.to_owned(),
        context: Some(Context {
            user: Some(CONTROL_PLANE.to_owned()),
            ..admin_context
        }),
        ..NamedContext::default()
    });
    kubeconfig.current_context = Some(CONTROL_PLANE.to_owned());
    // JSON is YAML.
    let text = serde_json::to_string_pretty(&kubeconfig).map_err(|_| ConnectError::Unreadable {
        cluster: ADMIN.to_owned(),
    })?;
    mint_once(&text).await?;
    Ok(text)
}

/// What errors call a cluster before it has a name.
pub(crate) const ADMIN: &str = "of the administrator";

/// Shows at once what would else show at the first request.
async fn mint_once(kubeconfig: &str) -> Result<(), ConnectError> {
    let own = Opened::read(ADMIN, kubeconfig, None).await?;
    let Some(renewal) = &own.renewal else {
        return Ok(());
    };
    let admin = Opened::read(ADMIN, kubeconfig, Some(&renewal.context)).await?;
    let token = RenewedToken::new(admin.transport()?, renewal);
    let minted = token.token(None).await;
    minted.map_err(|fault| ConnectError::ControlPlane {
        cluster: own.cluster,
        source: ClusterError::from(fault),
    })?;
    Ok(())
}
