//! What a row of API keys is: a key, or a token in somebody's kubeconfig (contract T9). The
//! column decides which role of the maker carries it, and what it may do in a cluster.

use remotegpu_accounts::Role;
use remotegpu_namespaces::ClusterAccess;

/// An API key.
pub const KEY: &str = "key";
/// A kubeconfig token of somebody who may write.
const TOKEN: &str = "kubeconfig_token";
/// The same of somebody who may read alone.
const VIEW_TOKEN: &str = "kubeconfig_view_token";
/// Both.
pub const TOKENS: [&str; 2] = [TOKEN, VIEW_TOKEN];

/// The kind of a token that is made in this role.
pub fn token_of(role: Role) -> &'static str {
    if role.allows(Role::Write) {
        TOKEN
    } else {
        VIEW_TOKEN
    }
}

/// The role that its maker must have; nothing where a newer version wrote the kind.
pub fn needed_role(kind: &str) -> Option<Role> {
    match kind {
        KEY | TOKEN => Some(Role::Write),
        VIEW_TOKEN => Some(Role::Read),
        _ => None,
    }
}

/// What it may do in a cluster, as far as this version knows.
pub fn access(kind: &str) -> Option<ClusterAccess> {
    match kind {
        KEY | TOKEN => Some(ClusterAccess::Tenant),
        VIEW_TOKEN => Some(ClusterAccess::Viewer),
        _ => None,
    }
}
