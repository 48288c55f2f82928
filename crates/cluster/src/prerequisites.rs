//! What a cluster holds before the control plane works in it.

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::Resource;
use remotegpu_namespaces::ClusterError;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    cluster::ACT_WITHIN,
    connection::{ConnectError, Opened},
    control_plane::ADMIN,
    guards::GUARDS,
    labels::{FIELD_MANAGER, MANAGED_BY, OURS, metadata},
    request::{Ask, Fault, item},
    roles::{
        RBAC, Rule, TENANT_ROLE, VIEWER_ROLE, control_plane_rules, identity_rules, tenant_rules,
        viewer_rules,
    },
    transport::Transport,
};

/// Where the identities of key secrets stand; no tenant reaches it (contract X9).
pub(crate) const CREDENTIALS_NAMESPACE: &str = "remotegpu-credentials";
/// Where the control plane's own account stands: not among the identities, so
/// that the right to mint for those is no right to mint for itself.
pub(crate) const SYSTEM_NAMESPACE: &str = "remotegpu-system";
/// The control plane's account.
pub(crate) const CONTROL_PLANE: &str = "remotegpu-control-plane";

const CONTROL_PLANE_ROLE: &str = "remotegpu:control-plane";

/// One object that a cluster needs beforehand, and why.
pub(crate) struct Prerequisite {
    pub(crate) why: &'static str,
    pub(crate) object: Value,
    /// The rules, where it is a role; [`Self::whole`] puts them into the object.
    pub(crate) rules: Vec<Rule>,
}

impl Prerequisite {
    fn new(why: &'static str, object: Value) -> Self {
        let rules = Vec::new();
        Self { why, object, rules }
    }

    fn role(why: &'static str, object: Value, rules: Vec<Rule>) -> Self {
        Self { why, object, rules }
    }

    fn whole(self) -> Value {
        let mut object = self.object;
        if !self.rules.is_empty() {
            object["rules"] = self.rules.into_iter().map(|rule| rule.rule).collect();
        }
        object
    }
}

/// What a cluster needs beforehand, in the order in which it is applied. The
/// cluster's administrator applies it, by hand or with [`apply_prerequisites`];
/// the control plane itself has no right to any of it.
pub fn prerequisites() -> Vec<Value> {
    let explained = explained_prerequisites().into_iter();
    explained.map(Prerequisite::whole).collect()
}

/// The same with the reasons.
pub(crate) fn explained_prerequisites() -> Vec<Prerequisite> {
    let mut account = manifest::<ServiceAccount>(Some(SYSTEM_NAMESPACE), CONTROL_PLANE);
    account["automountServiceAccountToken"] = json!(false);
    let mut all = vec![
        Prerequisite::new(
            "Where the control plane's own account stands: not among the identities, so that the \
             right to mint for those is no right to mint for itself.",
            manifest::<Namespace>(None, SYSTEM_NAMESPACE),
        ),
        Prerequisite::new(
            "Where the identities of API keys stand. No tenant reaches it.",
            manifest::<Namespace>(None, CREDENTIALS_NAMESPACE),
        ),
        Prerequisite::role(
            "What an API key, and an account's writers, may do in the namespace that they open. It \
             is neither edit nor admin: whatever makes a credential that no revocation reaches, and \
             whatever binds the tenant, stands in no rule.",
            manifest::<ClusterRole>(None, TENANT_ROLE),
            tenant_rules(),
        ),
        Prerequisite::role(
            "What an account's readers may do there.",
            manifest::<ClusterRole>(None, VIEWER_ROLE),
            viewer_rules(),
        ),
        Prerequisite::new("Who the control plane is.", account),
        Prerequisite::role(
            "What the control plane may do in the whole cluster.",
            manifest::<ClusterRole>(None, CONTROL_PLANE_ROLE),
            control_plane_rules(),
        ),
        Prerequisite::new(
            "It may do so.",
            bound(
                manifest::<ClusterRoleBinding>(None, CONTROL_PLANE_ROLE),
                "ClusterRole",
            ),
        ),
        Prerequisite::role(
            "What the control plane may do among the identities, and there alone.",
            manifest::<Role>(Some(CREDENTIALS_NAMESPACE), CONTROL_PLANE_ROLE),
            identity_rules(),
        ),
        Prerequisite::new(
            "It may do so.",
            bound(
                manifest::<RoleBinding>(Some(CREDENTIALS_NAMESPACE), CONTROL_PLANE_ROLE),
                "Role",
            ),
        ),
    ];
    for guard in GUARDS {
        let policy = manifest::<ValidatingAdmissionPolicy>(None, guard.name);
        let binding = manifest::<ValidatingAdmissionPolicyBinding>(None, guard.name);
        all.push(Prerequisite::new(guard.why, guard.policy(policy)));
        all.push(Prerequisite::new(
            "It holds in tenants' namespaces alone, which no tenant can relabel.",
            guard.binding(binding),
        ));
    }
    all
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
    let transport = opened.transport()?;
    for object in prerequisites() {
        let applied = timeout(ACT_WITHIN, apply(&transport, &object)).await;
        let applied = applied.unwrap_or_else(|_| Err(Fault::Slow.into()));
        applied.map_err(|source| ConnectError::Prerequisite {
            cluster: opened.cluster.clone(),
            object: format!("{} {}", text(&object["kind"]), metadata(&object, "name")),
            source,
        })?;
    }
    Ok(())
}

/// Where one of the objects stands.
pub(crate) fn path_of(object: &Value) -> Result<String, ClusterError> {
    let namespace = object["metadata"]["namespace"].as_str();
    let collection = match text(&object["kind"]) {
        "Namespace" => Namespace::url_path(&(), None),
        "ServiceAccount" => ServiceAccount::url_path(&(), namespace),
        "ClusterRole" => ClusterRole::url_path(&(), None),
        "ClusterRoleBinding" => ClusterRoleBinding::url_path(&(), None),
        "Role" => Role::url_path(&(), namespace),
        "ValidatingAdmissionPolicy" => ValidatingAdmissionPolicy::url_path(&(), None),
        "ValidatingAdmissionPolicyBinding" => ValidatingAdmissionPolicyBinding::url_path(&(), None),
        _ => RoleBinding::url_path(&(), namespace),
    };
    item(&collection, metadata(object, "name"))
}

async fn apply(transport: &Transport, object: &Value) -> Result<(), ClusterError> {
    let path = path_of(object)?;
    let answer = Ask::apply(&path, object).send(transport, None).await?;
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
