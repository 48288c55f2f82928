//! An admin looks at one token of a service user (contract T8).

use remotegpu_accounts::{ServiceUserRepository, ServiceUserToken};
use remotegpu_primitives::{ServiceUserTokenId, StoreError, UserId};

use crate::{Admin, Caller, Person};

/// The token, whether it has expired or not; `None` where there is no such one.
pub async fn find_service_user_token(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    id: UserId,
    token: ServiceUserTokenId,
) -> Result<Option<ServiceUserToken>, StoreError> {
    let account = caller.account().id;
    service_users.find_token(account, id, token).await
}
