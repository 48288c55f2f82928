//! The operator lifts an account's suspension (contract A13).

use rand::CryptoRng;
use remotegpu_accounts::{Account, AccountRepository};
use remotegpu_primitives::AccountId;
use time::OffsetDateTime;

use crate::{AccountError, Operator};

/// Lifts a suspension; what it ended stays ended.
pub async fn resume_account(
    accounts: &dyn AccountRepository,
    operator: Operator,
    id: AccountId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Account, AccountError> {
    let resumed = accounts.resume(id, &operator.act(rng, now)).await?;
    resumed.ok_or(AccountError::NotFound(id))
}
