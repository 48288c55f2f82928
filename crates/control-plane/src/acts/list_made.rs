//! An admin looks at what would end with somebody's role (contract K15).

use remotegpu_accounts::{Made, MemberRepository};
use remotegpu_primitives::{StoreError, UserId};
use time::OffsetDateTime;

use crate::{Admin, Caller, Person};

/// What somebody has made in the account that counts now and stands on their role.
pub async fn list_made(
    members: &dyn MemberRepository,
    caller: &Caller<Person<Admin>>,
    maker: UserId,
    now: OffsetDateTime,
) -> Result<Vec<Made>, StoreError> {
    members.list_made(caller.account().id, maker, now).await
}
