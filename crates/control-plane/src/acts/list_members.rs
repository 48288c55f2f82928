//! A member looks at who is in the account (contract T7).

use remotegpu_accounts::{Member, MemberRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Caller, Person, Read};

/// A page of the account's people.
pub async fn list_members(
    members: &dyn MemberRepository,
    caller: &Caller<Person<Read>>,
    page: PageRequest,
) -> Result<Page<Member>, StoreError> {
    members.list(caller.account().id, page).await
}
