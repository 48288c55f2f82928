//! The operator looks at one account (contract A13).

use remotegpu_accounts::{Account, AccountRepository};
use remotegpu_primitives::{AccountId, StoreError};

use crate::Operator;

/// Nothing is known, and nothing was done, of this account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("there is no account {0}")]
    NotFound(AccountId),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account.
pub async fn find_account(
    accounts: &dyn AccountRepository,
    _operator: Operator,
    id: AccountId,
) -> Result<Account, AccountError> {
    let found = accounts.find(id).await?;
    found.ok_or(AccountError::NotFound(id))
}
