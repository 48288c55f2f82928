//! A kubeconfig with a token is ended before its time (contract T9).

use rand::CryptoRng;
use remotegpu_namespaces::KubeconfigTokenRepository;
use remotegpu_primitives::{KubeconfigTokenId, StoreError};
use time::OffsetDateTime;

use super::list_kubeconfig_tokens::seen_by;
use crate::{Caller, Read, Signals};

/// Ends a living token that the caller made; an admin ends anybody's. `false` where there is
/// none.
pub async fn end_kubeconfig_token(
    tokens: &dyn KubeconfigTokenRepository,
    signals: &Signals,
    caller: &Caller<Read>,
    id: KubeconfigTokenId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let (account, act) = (caller.account().id, caller.act(rng, now));
    let ended = tokens.end(account, seen_by(caller), id, &act).await?;
    if ended {
        signals.wake_identities();
    }
    Ok(ended)
}
