//! An admin looks at the account's service users (contract T8).

use remotegpu_accounts::{ServiceUser, ServiceUserRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Admin, Caller, Person};

/// A page of them, newest first.
pub async fn list_service_users(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    page: PageRequest,
) -> Result<Page<ServiceUser>, StoreError> {
    service_users.list(caller.account().id, page).await
}
