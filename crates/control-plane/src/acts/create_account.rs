//! The operator makes an account (contract A13).

use rand::CryptoRng;
use remotegpu_accounts::{Account, AccountName, AccountRepository};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Operator, acts::sign_up::new_account};

/// Makes an account that has no members yet.
pub async fn create_account(
    accounts: &dyn AccountRepository,
    operator: Operator,
    name: AccountName,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Account, StoreError> {
    let account = new_account(name, rng, now);
    accounts.insert(&account, &operator.act(rng, now)).await?;
    Ok(account)
}
