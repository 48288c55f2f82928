//! An admin looks at the tokens of a service user (contract T8).

use remotegpu_accounts::{ServiceUserRepository, ServiceUserToken};
use remotegpu_primitives::{Page, PageRequest, StoreError, UserId};

use crate::{Admin, Caller, Person};

/// A page of them, newest first; those that have expired as well.
pub async fn list_service_user_tokens(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    id: UserId,
    page: PageRequest,
) -> Result<Page<ServiceUserToken>, StoreError> {
    let account = caller.account().id;
    service_users.list_tokens(account, id, page).await
}
