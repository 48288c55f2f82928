//! An admin makes a machine that manages (contract T8).

use rand::CryptoRng;
use remotegpu_accounts::{InsertLimited, NewServiceUser, Role, ServiceUser, ServiceUserRepository};
use remotegpu_keys::KeyName;
use remotegpu_primitives::{StoreError, UserId};
use time::OffsetDateTime;

use crate::{Admin, Caller, NotAllowed, Person};

/// What a service user shall be.
#[derive(Debug, Clone)]
pub struct CreateServiceUser {
    /// What it is called.
    pub name: KeyName,
    /// What it may do in the account.
    pub role: Role,
    /// How many an account may have.
    pub limit: u32,
}

/// No service user was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateServiceUserError {
    /// The account has as many as it may have.
    #[error("The account's limit of service users is reached")]
    LimitReached,
    /// There is no such account any more.
    #[error("there is no such account")]
    NotFound,
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a service user in the caller's account, which outlives the caller there.
pub async fn create_service_user(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    wanted: CreateServiceUser,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<ServiceUser, CreateServiceUserError> {
    let new = NewServiceUser {
        id: UserId::generate(now, rng),
        account_id: caller.account().id,
        name: wanted.name,
        role: wanted.role,
        created_at: now,
        created_by: caller.id(),
    };
    let act = caller.act(rng, now);
    match service_users.insert(&new, wanted.limit, &act).await? {
        InsertLimited::Inserted(made) => Ok(made),
        InsertLimited::LimitReached => Err(CreateServiceUserError::LimitReached),
        InsertLimited::NotFound => Err(CreateServiceUserError::NotFound),
        InsertLimited::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
    }
}
