//! What members of an account may do in its namespaces: bindings of groups, which whoever
//! asks bears with their role (contract T4). A changed role needs no changed binding.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::roles::{RBAC, TENANT_ROLE, VIEWER_ROLE};

/// The binding of those who read, and of those who work.
pub(crate) const BINDINGS: [AccountBinding; 2] = [
    AccountBinding {
        name: "remotegpu-readers",
        role: VIEWER_ROLE,
        members: &["read"],
    },
    AccountBinding {
        name: "remotegpu-writers",
        role: TENANT_ROLE,
        members: &["write", "admin"],
    },
];

/// Which roles in the account have which role in its namespaces.
#[derive(Clone, Copy)]
pub(crate) struct AccountBinding {
    pub(crate) name: &'static str,
    role: &'static str,
    members: &'static [&'static str],
}

/// To what a binding binds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleRef {
    api_group: String,
    kind: String,
    name: String,
}

impl AccountBinding {
    pub(crate) fn role_ref(self) -> Value {
        json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": self.role})
    }

    pub(crate) fn subjects(self, account: &str) -> Value {
        let members = self.members.iter();
        let groups = members.map(|role| {
            json!({
                "kind": "Group", "apiGroup": RBAC,
                "name": format!("remotegpu:account:{account}:{role}"),
            })
        });
        groups.collect()
    }

    /// Whether what was found binds these groups to this role, and nobody else.
    pub(crate) fn is_whole(
        self,
        role: Option<&RoleRef>,
        subjects: Option<&Value>,
        account: &str,
    ) -> bool {
        let to_role = role.is_some_and(|role| {
            role.api_group == RBAC && role.kind == "ClusterRole" && role.name == self.role
        });
        to_role && subjects == Some(&self.subjects(account))
    }
}
