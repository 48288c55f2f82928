//! The operator suspends an account (contract A13).

use rand::CryptoRng;
use remotegpu_accounts::{Account, AccountRepository};
use remotegpu_primitives::AccountId;
use time::OffsetDateTime;

use crate::{AccountError, Operator};

/// Suspends the account: its sessions and cluster identities end at once. Doing it
/// twice changes nothing.
pub async fn suspend_account(
    accounts: &dyn AccountRepository,
    operator: Operator,
    id: AccountId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Account, AccountError> {
    let suspended = accounts.suspend(id, &operator.act(rng, now)).await?;
    suspended.ok_or(AccountError::NotFound(id))
}
