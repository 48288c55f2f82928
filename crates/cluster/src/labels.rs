//! The labels by which we know our own objects, and what of an object we read.

use remotegpu_primitives::IdentityId;
use serde_json::Value;

/// Under what name we apply objects.
pub(crate) const FIELD_MANAGER: &str = "remotegpu";
/// Who manages an object, in the words that Kubernetes recommends.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] on what is ours.
pub(crate) const OURS: &str = "remotegpu";
/// The namespace as the API knows it.
pub(crate) const NAMESPACE_ID: &str = "remotegpu.ai/namespace-id";
/// The account that owns the object's namespace.
pub(crate) const ACCOUNT_ID: &str = "remotegpu.ai/account-id";
/// The making that an identity's objects belong to.
pub(crate) const IDENTITY_ID: &str = "remotegpu.ai/identity-id";
/// The key that an identity stands for: the cluster's audit log names it.
pub(crate) const KEY_ID: &str = "remotegpu.ai/key-id";
/// The secret of that key.
pub(crate) const SECRET_ID: &str = "remotegpu.ai/secret-id";

/// On a tenant's namespace: which priority classes its pods may name, apart by commas.
pub(crate) const PRIORITY_CLASSES: &str = "remotegpu.ai/priority-classes";
/// The same for what its pods may tolerate, in the words that taints have.
pub(crate) const TOLERATIONS: &str = "remotegpu.ai/tolerations";
/// The same for schedulers.
pub(crate) const SCHEDULERS: &str = "remotegpu.ai/schedulers";

/// Whose an identity's object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Somebody else's: it is never touched.
    Foreign,
    /// Ours; of this making, where its label can be read.
    Identity(Option<IdentityId>),
}

impl Owner {
    /// Reads the labels of a service account or a binding.
    pub(crate) fn of(object: &Value) -> Self {
        Self::by(|name| label(object, name))
    }

    /// The same of labels that are read by name.
    pub(crate) fn by<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Self {
        match (label(MANAGED_BY), label(IDENTITY_ID)) {
            (Some(OURS), Some(id)) => Self::Identity(id.parse().ok()),
            _ => Self::Foreign,
        }
    }
}

/// The value of one label.
pub(crate) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"][name].as_str()
}

/// A text of the object's metadata; empty where there is none.
pub(crate) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Whether the object is on its way out.
pub(crate) fn is_going(object: &Value) -> bool {
    !metadata(object, "deletionTimestamp").is_empty()
}
