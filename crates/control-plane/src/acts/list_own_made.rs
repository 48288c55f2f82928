//! Somebody looks at what would end with their own membership (contract K15).

use remotegpu_accounts::{Made, MemberRepository};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// What the caller has made in the account that counts now and stands on their role.
pub async fn list_own_made(
    members: &dyn MemberRepository,
    caller: &Caller<Person<Anyone>>,
    now: OffsetDateTime,
) -> Result<Vec<Made>, StoreError> {
    members
        .list_made(caller.account().id, caller.id(), now)
        .await
}
