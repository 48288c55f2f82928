//! An admin gives a service user a token (contract T8).

use rand::CryptoRng;
use remotegpu_accounts::{
    InsertLimited, NewServiceUserToken, PlainServiceUserToken, ServiceUserRepository,
    ServiceUserToken,
};
use remotegpu_keys::KeyName;
use remotegpu_primitives::{ServiceUserTokenId, StoreError, UserId};
use time::OffsetDateTime;

use crate::{Admin, Caller, NotAllowed, Person};

/// What a token shall be.
#[derive(Debug, Clone)]
pub struct IssueServiceUserToken {
    /// Whose it is.
    pub service_user_id: UserId,
    /// What it is called.
    pub name: KeyName,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
    /// How many a service user may have.
    pub limit: u32,
}

/// A token with its secret, which is told once.
#[derive(Debug)]
pub struct IssuedServiceUserToken {
    /// The token.
    pub token: ServiceUserToken,
    /// The secret.
    pub secret: PlainServiceUserToken,
}

/// No token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueServiceUserTokenError {
    /// The end is not in the future.
    #[error("expires_at must be in the future")]
    ExpiryNotInFuture,
    /// The service user has as many as it may have.
    #[error("The service user's limit of tokens is reached")]
    LimitReached,
    /// The account has no such service user.
    #[error("there is no such service user")]
    NotFound,
    /// The caller's role is another by now.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token of one of the account's service users.
pub async fn issue_service_user_token(
    service_users: &dyn ServiceUserRepository,
    caller: &Caller<Person<Admin>>,
    wanted: IssueServiceUserToken,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<IssuedServiceUserToken, IssueServiceUserTokenError> {
    if wanted.expires_at <= now {
        return Err(IssueServiceUserTokenError::ExpiryNotInFuture);
    }
    let secret = PlainServiceUserToken::generate(rng);
    let new = NewServiceUserToken {
        hash: secret.hash(),
        token: ServiceUserToken {
            id: ServiceUserTokenId::generate(now, rng),
            name: wanted.name,
            prefix: secret.prefix(),
            created_at: now,
            created_by: caller.id(),
            expires_at: wanted.expires_at,
            last_used_at: None,
        },
    };
    let (account, id, act) = (
        caller.account().id,
        wanted.service_user_id,
        caller.act(rng, now),
    );
    let inserted = service_users.insert_token(account, id, &new, wanted.limit, &act);
    match inserted.await? {
        InsertLimited::Inserted(token) => Ok(IssuedServiceUserToken { token, secret }),
        InsertLimited::LimitReached => Err(IssueServiceUserTokenError::LimitReached),
        InsertLimited::NotFound => Err(IssueServiceUserTokenError::NotFound),
        InsertLimited::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
    }
}
