//! The operator looks at all accounts (contract A13).

use remotegpu_accounts::{Account, AccountRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::Operator;

/// A page of all accounts, newest first.
pub async fn list_accounts(
    accounts: &dyn AccountRepository,
    _operator: Operator,
    page: PageRequest,
) -> Result<Page<Account>, StoreError> {
    accounts.list(page).await
}
