//! Many API keys are revoked at once (contract R7).

use std::collections::{BTreeMap, BTreeSet};

use rand::CryptoRng;
use remotegpu_keys::{InstallationKeys, KeyKind, OwnedKey};
use remotegpu_namespaces::{ClusterName, IdentityCensus};
use remotegpu_primitives::{Act, ApiKeyId, Clock, StoreError};

use crate::{
    Choice, EndAll, Ended, Operator,
    acts::end_all::{BATCH, persistently},
};

/// The keys, and what ends with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedKeys {
    /// The keys.
    pub keys: Ended,
    /// How many cluster identities, in each cluster: the tokens there go with them.
    pub identities: BTreeMap<ClusterName, u64>,
}

/// What revoking many keys needs.
#[derive(Clone, Copy)]
pub struct EndAllKeysPorts<'a> {
    /// The keys.
    pub keys: &'a dyn InstallationKeys,
    /// What stands on them in the clusters.
    pub identities: &'a dyn IdentityCensus,
    /// The time: much may take long.
    pub clock: &'a dyn Clock,
}

/// Counts the active keys that are meant, with what ends with them, and revokes them
/// if `mode` says so; a running server's reconciler then ends their tokens. `told` is
/// called after each batch with what has been found so far.
///
/// # Errors
/// The store did not take a batch; those before it stand.
pub async fn end_all_keys(
    ports: EndAllKeysPorts<'_>,
    operator: Operator,
    choice: Choice<'_, ApiKeyId>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    told: &mut dyn FnMut(&EndedKeys),
) -> Result<EndedKeys, StoreError> {
    end_all_of(KeyKind::ApiKey, ports, operator, choice, mode, rng, told).await
}

/// The same of keys of any kind.
pub(super) async fn end_all_of(
    kind: KeyKind,
    ports: EndAllKeysPorts<'_>,
    operator: Operator,
    choice: Choice<'_, ApiKeyId>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    told: &mut dyn FnMut(&EndedKeys),
) -> Result<EndedKeys, StoreError> {
    let ending = Ending {
        kind,
        ports,
        operator,
        mode,
    };
    let mut ended = EndedKeys::default();
    if let Some(ids) = choice.ids {
        // One that is named twice is one.
        let ids: BTreeSet<ApiKeyId> = ids.iter().copied().collect();
        let ids: Vec<ApiKeyId> = ids.into_iter().collect();
        for ids in ids.chunks(BATCH as usize) {
            let now = ports.clock.now();
            let find = async || ports.keys.find_owned(kind, ids, now).await;
            let mut found = persistently(find).await?;
            found.retain(|(key, _)| choice.account.is_none_or(|of| key.account_id == of));
            ended.keys.unknown += (ids.len() - found.len()) as u64;
            let living = found.iter().filter(|(_, is_active)| *is_active);
            let living: Vec<OwnedKey> = living.map(|(key, _)| *key).collect();
            ended.keys.ended_before += (found.len() - living.len()) as u64;
            end(ending, living, rng, &mut ended).await?;
            told(&ended);
        }
        return Ok(ended);
    }
    let mut after = None;
    loop {
        let now = ports.clock.now();
        let next = async || {
            ports
                .keys
                .list_active(kind, choice.account, after, BATCH, now)
                .await
        };
        let batch = persistently(next).await?;
        let Some(last) = batch.last() else {
            return Ok(ended);
        };
        after = Some(last.id);
        end(ending, batch, rng, &mut ended).await?;
        told(&ended);
    }
}

/// What is ended, by whom, and whether it is.
#[derive(Clone, Copy)]
struct Ending<'a> {
    kind: KeyKind,
    ports: EndAllKeysPorts<'a>,
    operator: Operator,
    mode: EndAll,
}

async fn end(
    ending: Ending<'_>,
    keys: Vec<OwnedKey>,
    rng: &mut impl CryptoRng,
    ended: &mut EndedKeys,
) -> Result<(), StoreError> {
    let Ending {
        kind,
        ports,
        operator,
        mode,
    } = ending;
    let ids: Vec<ApiKeyId> = keys.iter().map(|key| key.id).collect();
    let now = ports.clock.now();
    let count = async || ports.identities.count_living_of(&ids, now).await;
    let identities = persistently(count).await?;
    let revoked = match mode {
        EndAll::Count => keys,
        EndAll::End => {
            let acts: Vec<(OwnedKey, Act)> = keys
                .into_iter()
                .map(|key| (key, operator.act(rng, ports.clock.now())))
                .collect();
            persistently(async || ports.keys.revoke_each(kind, &acts).await).await?
        }
    };
    for (cluster, count) in identities {
        *ended.identities.entry(cluster).or_default() += count;
    }
    for key in revoked {
        ended.keys.add(key.account_id);
    }
    Ok(())
}
