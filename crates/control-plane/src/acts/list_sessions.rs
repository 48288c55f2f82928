//! A person looks at where they are signed in (contract A6).

use remotegpu_accounts::{OpenedSession, SessionPolicy, SessionRepository};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{Anyone, Caller, Person};

/// The caller's own sessions that still count, newest first.
pub async fn list_sessions(
    sessions: &dyn SessionRepository,
    caller: &Caller<Person<Anyone>>,
    policy: SessionPolicy,
    now: OffsetDateTime,
) -> Result<Vec<OpenedSession>, StoreError> {
    let mut all = sessions.list_of(caller.user().id).await?;
    all.retain(|opened| opened.session.is_live(policy, now));
    Ok(all)
}
