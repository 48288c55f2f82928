//! From a session's secret to who is calling (contract A1, A6).

use std::time::Duration;

use remotegpu_accounts::{
    MalformedSession, PlainSession, SessionContext, SessionPolicy, SessionRepository,
};
use remotegpu_primitives::{SessionId, StoreError};
use time::OffsetDateTime;

/// How long a request waits for the note that its session was used. A writer that is
/// busy must not make everybody who reads wait for it.
const NOTE_WITHIN: Duration = Duration::from_millis(250);

/// No session that counts.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateSessionError {
    /// The text can be no session.
    #[error(transparent)]
    Malformed(#[from] MalformedSession),
    /// There is no such session, or it has ended.
    #[error("the session is unknown or has ended")]
    Ended,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds the session that `text` is, if it still counts at `now`, and notes its
/// use at most once a minute, if somebody uses it: what a page asks by itself keeps no
/// session alive. A use that cannot be noted counts all the same: the next one is noted
/// instead.
pub async fn authenticate_session(
    sessions: &dyn SessionRepository,
    policy: SessionPolicy,
    text: &str,
    is_use: bool,
    now: OffsetDateTime,
) -> Result<SessionContext, AuthenticateSessionError> {
    let plain = PlainSession::parse(text)?;
    let context = sessions
        .find_by_hash(&plain.hash())
        .await?
        .filter(|context| context.session.is_live(policy, now))
        // Contract A10: after its time a one-time password opens nothing, nor
        // does what it has opened.
        .filter(|context| !context.user.password_change.is_over(now))
        .ok_or(AuthenticateSessionError::Ended)?;
    if is_use && context.session.is_stale(now) {
        note_use(sessions, context.session.id, now).await;
    }
    Ok(context)
}

async fn note_use(sessions: &dyn SessionRepository, session: SessionId, now: OffsetDateTime) {
    let noted = tokio::time::timeout(NOTE_WITHIN, sessions.touch(session, now)).await;
    let failed = match &noted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error as &dyn std::error::Error,
        Err(late) => late,
    };
    tracing::warn!(%session, error = failed, "the use of a session could not be noted");
}
