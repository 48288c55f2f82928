//! From a service user's token to who is calling (contract A3, T8).

use std::time::Duration;

use remotegpu_accounts::{PlainServiceUserToken, ServiceUserContext, ServiceUserRepository};
use remotegpu_keys::MalformedSecret;
use remotegpu_primitives::{ServiceUserTokenId, StoreError};
use time::OffsetDateTime;

/// How long a request waits for the note that its token was used, as with sessions.
const NOTE_WITHIN: Duration = Duration::from_millis(250);

/// No token that counts.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateServiceUserError {
    /// The text can be no token.
    #[error(transparent)]
    Malformed(#[from] MalformedSecret),
    /// There is no such token, or it has ended.
    #[error("the token is unknown or has ended")]
    Ended,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds the service user whose token `text` is, if it still counts at `now`, and notes its
/// use at most once a minute. What can be no token is refused without a query. A use that
/// cannot be noted counts all the same.
pub async fn authenticate_service_user(
    service_users: &dyn ServiceUserRepository,
    text: &str,
    now: OffsetDateTime,
) -> Result<ServiceUserContext, AuthenticateServiceUserError> {
    let plain = PlainServiceUserToken::parse(text)?;
    let context = service_users
        .find_by_hash(&plain.hash())
        .await?
        .filter(|context| now < context.token.expires_at)
        .ok_or(AuthenticateServiceUserError::Ended)?;
    if context.token.is_stale(now) {
        note_use(service_users, context.token.id, now).await;
    }
    Ok(context)
}

async fn note_use(
    service_users: &dyn ServiceUserRepository,
    token: ServiceUserTokenId,
    now: OffsetDateTime,
) {
    let noted = tokio::time::timeout(NOTE_WITHIN, service_users.touch(token, now)).await;
    let failed = match &noted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error as &dyn std::error::Error,
        Err(late) => late,
    };
    tracing::warn!(%token, error = failed, "the use of a service user's token could not be noted");
}
