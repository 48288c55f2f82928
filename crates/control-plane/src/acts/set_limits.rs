//! The operator gives an account limits of its own (contract A13, K8, N3).

use rand::CryptoRng;
use remotegpu_accounts::{Account, AccountRepository, LimitChanges};
use remotegpu_primitives::AccountId;
use time::OffsetDateTime;

use crate::{AccountError, Operator};

/// Changes the account's own limits, and of these only what is given.
pub async fn set_limits(
    accounts: &dyn AccountRepository,
    operator: Operator,
    id: AccountId,
    changes: LimitChanges,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Account, AccountError> {
    let act = operator.act(rng, now);
    let set = accounts.set_limits(id, changes, &act).await?;
    set.ok_or(AccountError::NotFound(id))
}
