//! A member looks at one person of the account (contract T8).

use remotegpu_accounts::{Member, MemberRepository};
use remotegpu_primitives::{StoreError, UserId};

use crate::{Caller, Person, Read};

/// The person; `None` where nobody of the account has this identifier.
pub async fn find_member(
    members: &dyn MemberRepository,
    caller: &Caller<Person<Read>>,
    id: UserId,
) -> Result<Option<Member>, StoreError> {
    members.find(caller.account().id, id).await
}
