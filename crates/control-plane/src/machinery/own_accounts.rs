//! Several installations may share a cluster; each looks after its own alone.

use std::collections::{HashMap, hash_map::Entry};

use remotegpu_accounts::AccountRepository;
use remotegpu_primitives::{AccountId, StoreError};

/// Which accounts are this installation's. Each is asked for once.
pub(crate) struct OwnAccounts<'a> {
    accounts: &'a dyn AccountRepository,
    known: HashMap<AccountId, bool>,
}

impl<'a> OwnAccounts<'a> {
    pub(crate) fn new(accounts: &'a dyn AccountRepository) -> Self {
        Self {
            accounts,
            known: HashMap::new(),
        }
    }

    /// Whether the account has a row.
    pub(crate) async fn has(&mut self, account: AccountId) -> Result<bool, StoreError> {
        Ok(match self.known.entry(account) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(entry) => *entry.insert(self.accounts.find(account).await?.is_some()),
        })
    }
}
