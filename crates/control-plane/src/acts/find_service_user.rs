//! An admin looks at one service user (contract T8).

use remotegpu_accounts::{ServiceUser, ServiceUserRepository};
use remotegpu_primitives::{StoreError, UserId};

use crate::{Admin, Caller, Person};

/// The service user; `None` where the account has no such one.
pub async fn find_service_user(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    id: UserId,
) -> Result<Option<ServiceUser>, StoreError> {
    service_users.find(caller.account().id, id).await
}
