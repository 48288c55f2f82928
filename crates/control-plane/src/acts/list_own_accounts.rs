//! Somebody looks at which accounts they can act for (contract A11).

use remotegpu_accounts::{Membership, UserRepository};
use remotegpu_primitives::StoreError;

use crate::{Anyone, Caller};

/// The caller's accounts, the oldest membership first, without those that are suspended.
pub async fn list_own_accounts(
    users: &dyn UserRepository,
    caller: &Caller<Anyone>,
) -> Result<Vec<Membership>, StoreError> {
    let mut memberships = users.memberships(caller.id()).await?;
    memberships.retain(|membership| membership.account.suspended_at.is_none());
    Ok(memberships)
}
