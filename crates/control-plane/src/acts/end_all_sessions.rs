//! Many sessions are ended at once (contract R7).

use std::collections::BTreeSet;

use rand::CryptoRng;
use remotegpu_accounts::{InstallationSessions, OwnedSession};
use remotegpu_primitives::{Act, Clock, SessionId, StoreError};

use crate::{
    Choice, EndAll, Ended, Operator,
    acts::end_all::{BATCH, persistently},
};

/// Counts the sessions that are meant, and ends them if `mode` says so. `told` is
/// called after each batch with what has been found so far.
///
/// # Errors
/// The store did not take a batch; those before it stand.
pub async fn end_all_sessions(
    sessions: &dyn InstallationSessions,
    operator: Operator,
    choice: Choice<'_, SessionId>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
    told: &mut dyn FnMut(&Ended),
) -> Result<Ended, StoreError> {
    let mut ended = Ended::default();
    if let Some(ids) = choice.ids {
        // One that is named twice is one.
        let ids: BTreeSet<SessionId> = ids.iter().copied().collect();
        let ids: Vec<SessionId> = ids.into_iter().collect();
        for ids in ids.chunks(BATCH as usize) {
            let mut found = persistently(async || sessions.find_owned(ids).await).await?;
            found.retain(|found| choice.account.is_none_or(|of| found.account_id == of));
            ended.unknown += (ids.len() - found.len()) as u64;
            end(sessions, operator, found, mode, rng, clock, &mut ended).await?;
            told(&ended);
        }
        return Ok(ended);
    }
    let mut after = None;
    loop {
        let next = async || sessions.list(choice.account, after, BATCH).await;
        let batch = persistently(next).await?;
        let Some(last) = batch.last() else {
            return Ok(ended);
        };
        after = Some(last.id);
        end(sessions, operator, batch, mode, rng, clock, &mut ended).await?;
        told(&ended);
    }
}

async fn end(
    sessions: &dyn InstallationSessions,
    operator: Operator,
    batch: Vec<OwnedSession>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    let gone = match mode {
        EndAll::Count => batch,
        EndAll::End => {
            let acts: Vec<(OwnedSession, Act)> = batch
                .into_iter()
                .map(|session| (session, operator.act(rng, clock.now())))
                .collect();
            persistently(async || sessions.delete_each(&acts).await).await?
        }
    };
    for session in gone {
        ended.add(session.account_id);
    }
    Ok(())
}
