//! What a cluster holds before the control plane works in it.

use k8s_openapi::api::{
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{Client, Resource};
use remotegpu_namespaces::ClusterError;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    cluster::ACT_WITHIN,
    connection::{ConnectError, Opened},
    control_plane::ADMIN,
    labels::{FIELD_MANAGER, MANAGED_BY, OURS, metadata},
    request::{Ask, Fault, item},
    roles::{
        RBAC, TENANT_ROLE, VIEWER_ROLE, control_plane_rules, identity_rules, tenant_rules,
        viewer_rules,
    },
};

/// Where the identities of key secrets stand; no tenant reaches it (contract X9).
pub(crate) const CREDENTIALS_NAMESPACE: &str = "remotegpu-credentials";
/// Where the control plane's own account stands: not among the identities, so
/// that the right to mint for those is no right to mint for itself.
pub(crate) const SYSTEM_NAMESPACE: &str = "remotegpu-system";
/// The control plane's account.
pub(crate) const CONTROL_PLANE: &str = "remotegpu-control-plane";

const CONTROL_PLANE_ROLE: &str = "remotegpu:control-plane";

/// What a cluster needs beforehand, in the order in which it is applied. The
/// cluster's administrator applies it, by hand or with [`apply_prerequisites`];
/// the control plane itself has no right to any of it.
pub fn prerequisites() -> Vec<Value> {
    let cluster_role = |name: &str, rules: Value| {
        let mut role = manifest::<ClusterRole>(None, name);
        role["rules"] = rules;
        role
    };
    let mut account = manifest::<ServiceAccount>(Some(SYSTEM_NAMESPACE), CONTROL_PLANE);
    account["automountServiceAccountToken"] = json!(false);
    let mut identities = manifest::<Role>(Some(CREDENTIALS_NAMESPACE), CONTROL_PLANE_ROLE);
    identities["rules"] = identity_rules();
    vec![
        manifest::<Namespace>(None, SYSTEM_NAMESPACE),
        manifest::<Namespace>(None, CREDENTIALS_NAMESPACE),
        cluster_role(TENANT_ROLE, tenant_rules()),
        cluster_role(VIEWER_ROLE, viewer_rules()),
        account,
        cluster_role(CONTROL_PLANE_ROLE, control_plane_rules()),
        bound(
            manifest::<ClusterRoleBinding>(None, CONTROL_PLANE_ROLE),
            "ClusterRole",
        ),
        identities,
        bound(
            manifest::<RoleBinding>(Some(CREDENTIALS_NAMESPACE), CONTROL_PLANE_ROLE),
            "Role",
        ),
    ]
}

fn manifest<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> Value {
    let mut object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "labels": {MANAGED_BY: OURS}},
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// Completes a binding of the control plane's account to its role.
fn bound(mut binding: Value, role_kind: &str) -> Value {
    binding["roleRef"] = json!({"apiGroup": RBAC, "kind": role_kind, "name": CONTROL_PLANE_ROLE});
    binding["subjects"] = json!([{
        "kind": "ServiceAccount", "namespace": SYSTEM_NAMESPACE, "name": CONTROL_PLANE,
    }]);
    binding
}

/// Applies [`prerequisites`] with the credential of the cluster's administrator,
/// on the server's side, as field manager `remotegpu`.
pub async fn apply_prerequisites(admin_kubeconfig: &str) -> Result<(), ConnectError> {
    let opened = Opened::read(ADMIN, admin_kubeconfig, None).await?;
    let client = opened.client()?;
    for object in prerequisites() {
        let applied = timeout(ACT_WITHIN, apply(&client, &object)).await;
        let applied = applied.unwrap_or_else(|_| Err(Fault::Slow.into()));
        applied.map_err(|source| ConnectError::Prerequisite {
            cluster: opened.cluster.clone(),
            object: format!("{} {}", text(&object["kind"]), metadata(&object, "name")),
            source,
        })?;
    }
    Ok(())
}

async fn apply(client: &Client, object: &Value) -> Result<(), ClusterError> {
    let namespace = object["metadata"]["namespace"].as_str();
    let collection = match text(&object["kind"]) {
        "Namespace" => Namespace::url_path(&(), None),
        "ServiceAccount" => ServiceAccount::url_path(&(), namespace),
        "ClusterRole" => ClusterRole::url_path(&(), None),
        "ClusterRoleBinding" => ClusterRoleBinding::url_path(&(), None),
        "Role" => Role::url_path(&(), namespace),
        _ => RoleBinding::url_path(&(), namespace),
    };
    let path = item(&collection, metadata(object, "name"))?;
    let answer = Ask::apply(&path, object).send(client, None).await?;
    if let Some(fault) = answer.fault() {
        return Err(fault.into());
    }
    answer
        .object(&format!("applying as {FIELD_MANAGER}"))
        .map(drop)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
