//! The operator makes an account (contract A13).

use rand::CryptoRng;
use remotegpu_accounts::{Account, AccountName, AccountRepository};
use remotegpu_primitives::{Act, StoreError};

use crate::acts::sign_up::new_account;

/// Makes an account that has no members yet.
pub async fn create_account(
    accounts: &dyn AccountRepository,
    name: AccountName,
    rng: &mut impl CryptoRng,
    act: &Act,
) -> Result<Account, StoreError> {
    let account = new_account(name, rng, act.at);
    accounts.insert(&account, act).await?;
    Ok(account)
}
