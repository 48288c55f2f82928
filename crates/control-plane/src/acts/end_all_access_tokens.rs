//! Many access tokens are deleted at once (contract R7).

use std::collections::BTreeMap;

use rand::CryptoRng;
use remotegpu_access_tokens::{InstallationAccessTokens, OwnedAccessToken, TokenHandle};
use remotegpu_primitives::{Act, Clock, StoreError};

use crate::{
    Choice, EndAll, Ended, Operator,
    acts::end_all::{BATCH, persistently},
};

/// Counts the active tokens that are meant, and deletes them if `mode` says so. `told` is
/// called after each batch with what has been found so far.
///
/// # Errors
/// The store did not take a batch; those before it stand.
pub async fn end_all_access_tokens(
    tokens: &dyn InstallationAccessTokens,
    operator: Operator,
    choice: Choice<'_, TokenHandle>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
    told: &mut dyn FnMut(&Ended),
) -> Result<Ended, StoreError> {
    let mut ended = Ended::default();
    if let Some(handles) = choice.ids {
        // One that is named twice is one.
        let handles: BTreeMap<&str, &TokenHandle> =
            handles.iter().map(|one| (one.as_str(), one)).collect();
        let handles: Vec<TokenHandle> = handles.into_values().cloned().collect();
        for handles in handles.chunks(BATCH as usize) {
            let now = clock.now();
            let mut found = persistently(async || tokens.find_owned(handles, now).await).await?;
            found.retain(|(token, _)| choice.account.is_none_or(|of| token.account_id == of));
            ended.unknown += (handles.len() - found.len()) as u64;
            let count = found.len();
            let living = found.into_iter().filter(|(_, is_active)| *is_active);
            let living: Vec<OwnedAccessToken> = living.map(|(token, _)| token).collect();
            ended.ended_before += (count - living.len()) as u64;
            end(tokens, operator, living, mode, rng, clock, &mut ended).await?;
            told(&ended);
        }
        return Ok(ended);
    }
    let mut after = None;
    loop {
        let now = clock.now();
        let next = async || tokens.list_active(choice.account, after, BATCH, now).await;
        let batch = persistently(next).await?;
        let Some(last) = batch.last() else {
            return Ok(ended);
        };
        after = Some(last.id);
        end(tokens, operator, batch, mode, rng, clock, &mut ended).await?;
        told(&ended);
    }
}

async fn end(
    tokens: &dyn InstallationAccessTokens,
    operator: Operator,
    batch: Vec<OwnedAccessToken>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    let gone = match mode {
        EndAll::Count => batch,
        EndAll::End => {
            let acts: Vec<(OwnedAccessToken, Act)> = batch
                .into_iter()
                .map(|token| (token, operator.act(rng, clock.now())))
                .collect();
            persistently(async || tokens.delete_each(&acts).await).await?
        }
    };
    for token in gone {
        ended.add(token.account_id);
    }
    Ok(())
}
