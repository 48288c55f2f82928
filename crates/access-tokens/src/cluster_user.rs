//! Whom a token stands for in a cluster (contract T4, T6).

use remotegpu_accounts::Role;
use remotegpu_primitives::{AccountId, UserId};

use crate::TokenHandle;

/// A member as a cluster sees them. It is made of identifiers and a role, and of nothing
/// that somebody has written: so it is never `system:` anything, and never in another
/// account's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUser {
    user: UserId,
    account: AccountId,
    role: Role,
    token: TokenHandle,
}

impl ClusterUser {
    /// Under which the cluster is told by which token somebody came.
    pub const TOKEN_EXTRA: &'static str = "remotegpu.ai/access-token";

    /// Whoever has this role in this account, and came by this token.
    pub fn new(user: UserId, account: AccountId, role: Role, token: TokenHandle) -> Self {
        Self {
            user,
            account,
            role,
            token,
        }
    }

    /// `remotegpu:user:<id>`.
    pub fn username(&self) -> String {
        format!("remotegpu:user:{}", self.user)
    }

    /// The identifier of the user: nobody else ever has it.
    pub fn uid(&self) -> String {
        self.user.to_string()
    }

    /// `remotegpu:account:<id>:<role>`, and no other.
    pub fn groups(&self) -> [String; 1] {
        let (account, role) = (self.account, self.role.as_str());
        [format!("remotegpu:account:{account}:{role}")]
    }

    /// What the token is called, for the cluster's own audit log.
    pub fn token(&self) -> &TokenHandle {
        &self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn role() -> impl Strategy<Value = Role> {
        prop::sample::select(Role::ALL.to_vec())
    }

    /// The one way to read a group: what stands between the colons.
    fn read_group(group: &str) -> (AccountId, Role) {
        let words: Vec<&str> = group.split(':').collect();
        let ["remotegpu", "account", account, role] = words[..] else {
            panic!("{group}")
        };
        (account.parse().unwrap(), role.parse().unwrap())
    }

    proptest! {
        /// T4: whoever it is, and whatever the token is called.
        #[test]
        fn nobody_is_a_system_user_or_in_another_accounts_group(
            user: u128, account: u128, role in role(), handle in ".*",
        ) {
            let user = UserId::from_uuid(Uuid::from_u128(user));
            let account = AccountId::from_uuid(Uuid::from_u128(account));
            let seen = ClusterUser::new(user, account, role, TokenHandle::from_stored(handle));
            prop_assert_eq!(seen.username(), format!("remotegpu:user:{user}"));
            prop_assert_eq!(seen.uid(), user.to_string());
            let groups = seen.groups();
            prop_assert_eq!(groups.each_ref().map(|group| read_group(group)), [(account, role)]);
            let names = groups.iter().cloned().chain([seen.username(), seen.uid()]);
            for name in names {
                prop_assert!(!name.contains("system"), "{}", name);
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-:".contains(c);
                prop_assert!(name.chars().all(plain), "{}", name);
            }
        }
    }
}
