//! What a cluster holds under our labels and no row remembers is removed
//! (contract X10): the work of a request that died between two steps. And a living
//! identity that has lost its binding, with its namespace for one, gets it back.

use std::collections::HashMap;

use remotegpu_accounts::AccountRepository;
use remotegpu_namespaces::{
    ClusterError, ClusterName, CredentialIdentity, CredentialMint, IdentityRepository,
    IdentityStanding, LocatedIdentity,
};
use remotegpu_primitives::{Clock, IdentityId, StoreError};

use crate::{SweepCounts, own_accounts::OwnAccounts};

/// What sweeping needs.
#[derive(Clone, Copy)]
pub struct SweepPorts<'a> {
    /// Which identities are remembered.
    pub identities: &'a dyn IdentityRepository,
    /// Which accounts are this installation's.
    pub accounts: &'a dyn AccountRepository,
    /// What the clusters hold.
    pub mint: &'a dyn CredentialMint,
    /// Where it is counted what was found.
    pub counts: &'a SweepCounts,
    /// Whether anything is removed (contract R9).
    pub may_remove: bool,
}

/// A sweep did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The cluster did not do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes the identities of one cluster that no row remembers, and binds those
/// again that have lost their binding. Answers how many it removed.
///
/// The cluster is read first and the store second: a row stands before its
/// objects, so that what is being made at this moment is found remembered. What
/// names an account that is not ours belongs to another installation that shares
/// the cluster, and stays.
pub async fn sweep_identities(
    ports: SweepPorts<'_>,
    cluster: &ClusterName,
    clock: &dyn Clock,
) -> Result<usize, SweepError> {
    let held = ports.mint.list(cluster).await?;
    let ids: Vec<IdentityId> = held.iter().filter_map(|identity| identity.id).collect();
    let stored = ports.identities.stored_among(&ids).await?;
    let remembered: HashMap<IdentityId, CredentialIdentity> = stored
        .into_iter()
        .map(|identity| (identity.id, identity))
        .collect();
    let row = |identity: &LocatedIdentity| identity.id.and_then(|id| remembered.get(&id));
    let is_remembered = |identity: &LocatedIdentity| row(identity).is_some();
    for unbound in held.iter().filter(|identity| identity.binding.is_none()) {
        if let Some(identity) = row(unbound) {
            bind_again(ports, identity, clock).await?;
        }
    }
    let mut ours = OwnAccounts::new(ports.accounts);
    let mut removed = 0;
    for identity in held.iter().filter(|identity| !is_remembered(identity)) {
        let Some(account) = identity.account_id else {
            continue;
        };
        if !ports.may_remove || !ours.has(account).await? {
            continue;
        }
        match ports.mint.remove(identity).await {
            Ok(()) => {
                ports.counts.identity_removed();
                removed += 1;
            }
            Err(error @ ClusterError::Unavailable(_)) => return Err(error.into()),
            // One that is refused keeps no other waiting.
            Err(error) => tracing::warn!(
                %cluster,
                error = &error as &dyn std::error::Error,
                "a cluster identity that nobody remembers could not be removed"
            ),
        }
    }
    Ok(removed)
}

/// Gives a living identity its binding again. One that was not seen to work yet is
/// being made at this moment.
async fn bind_again(
    ports: SweepPorts<'_>,
    identity: &CredentialIdentity,
    clock: &dyn Clock,
) -> Result<(), SweepError> {
    // At this very time each: a sweep takes a while, and an end counts at once.
    let has_ended = async || {
        let standing = ports.identities.standing(identity.id, clock.now()).await?;
        Ok::<_, StoreError>(standing == IdentityStanding::Ended)
    };
    if !identity.bound || has_ended().await? {
        return Ok(());
    }
    let made = ports.mint.make(identity).await;
    // Who ended it meanwhile may have been done before there was anything to remove.
    if has_ended().await? {
        let located = ports.mint.locate(identity).await?;
        ports.mint.remove(&located).await?;
        return Ok(());
    }
    match made {
        Ok(()) => {
            ports.counts.identity_bound_again();
            tracing::warn!(
                identity = %identity.id,
                cluster = %identity.cluster,
                "a cluster identity that had lost its binding is bound again"
            );
        }
        Err(error @ ClusterError::Unavailable(_)) => return Err(error.into()),
        Err(error) => tracing::warn!(
            identity = %identity.id,
            cluster = %identity.cluster,
            error = &error as &dyn std::error::Error,
            "a cluster identity that has lost its binding could not be bound again"
        ),
    }
    Ok(())
}
