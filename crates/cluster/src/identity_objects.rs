//! The two objects that an identity is made of (contract X9).

use k8s_openapi::api::{core::v1::ServiceAccount, rbac::v1::RoleBinding};
use kube::Resource;
use remotegpu_namespaces::{CredentialIdentity, IdentitySubject, LocatedObject};
use serde_json::{Value, json};

use crate::{
    labels::{
        ACCOUNT_ID, IDENTITY_ID, KEY_ID, MANAGED_BY, NAMESPACE_ID, OURS, SECRET_ID, metadata,
    },
    prerequisites::CREDENTIALS_NAMESPACE,
    roles::RBAC,
};

/// The service account that the secret is in the cluster. No pod is ever given
/// its token.
pub(crate) fn service_account(identity: &CredentialIdentity) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": object_metadata(identity, CREDENTIALS_NAMESPACE),
        "automountServiceAccountToken": false,
    })
}

/// Its one binding, into the namespace that it opens.
pub(crate) fn role_binding(identity: &CredentialIdentity) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "RoleBinding",
        "metadata": object_metadata(identity, identity.kubernetes_namespace.as_str()),
        "roleRef": {
            "apiGroup": RBAC,
            "kind": "ClusterRole",
            "name": identity.access.cluster_role(),
        },
        "subjects": [{
            "kind": "ServiceAccount",
            "namespace": CREDENTIALS_NAMESPACE,
            "name": identity.object_name(),
        }],
    })
}

fn object_metadata(identity: &CredentialIdentity, namespace: &str) -> Value {
    let IdentitySubject::KeySecret { key_id, secret_id } = identity.subject;
    json!({
        "name": identity.object_name(),
        "namespace": namespace,
        "labels": {
            MANAGED_BY: OURS,
            IDENTITY_ID: identity.id.to_string(),
            KEY_ID: key_id.to_string(),
            SECRET_ID: secret_id.to_string(),
            NAMESPACE_ID: identity.namespace_id.to_string(),
            ACCOUNT_ID: identity.account_id.to_string(),
        },
    })
}

/// Where service accounts of identities are.
pub(crate) fn service_accounts() -> String {
    ServiceAccount::url_path(&(), Some(CREDENTIALS_NAMESPACE))
}

/// Where the bindings of one namespace are, or of all.
pub(crate) fn role_bindings(namespace: Option<&str>) -> String {
    RoleBinding::url_path(&(), namespace)
}

/// Whether an object that stands there gives what the wanted one would: a
/// binding that somebody has bent does not.
pub(crate) fn gives_the_same(found: &Value, wanted: &Value) -> bool {
    let reference = |object: &Value, field: &str| {
        let text = object["roleRef"][field].as_str();
        text.unwrap_or_default().to_owned()
    };
    let subject = |object: &Value, field: &str| {
        let text = object["subjects"][0][field].as_str();
        text.unwrap_or_default().to_owned()
    };
    let count = |object: &Value| object["subjects"].as_array().map_or(0, Vec::len);
    count(found) == count(wanted)
        && ["kind", "name"]
            .iter()
            .all(|field| reference(found, field) == reference(wanted, field))
        && ["kind", "namespace", "name"]
            .iter()
            .all(|field| subject(found, field) == subject(wanted, field))
}

/// The very object that was read.
pub(crate) fn located(object: &Value) -> LocatedObject {
    LocatedObject {
        namespace: metadata(object, "namespace").to_owned(),
        name: metadata(object, "name").to_owned(),
        uid: metadata(object, "uid").to_owned(),
    }
}
