//! What a cluster holds under our labels and no row remembers is removed
//! (contract X10): the work of a request that died between two steps.

use std::collections::{HashMap, HashSet};

use remotegpu_accounts::AccountRepository;
use remotegpu_namespaces::{
    ClusterError, ClusterName, CredentialMint, IdentityRepository, LocatedIdentity,
};
use remotegpu_primitives::{AccountId, IdentityId, StoreError};

/// What sweeping needs.
#[derive(Clone, Copy)]
pub struct SweepPorts<'a> {
    /// Which identities are remembered.
    pub identities: &'a dyn IdentityRepository,
    /// Which accounts are this installation's.
    pub accounts: &'a dyn AccountRepository,
    /// What the clusters hold.
    pub mint: &'a dyn CredentialMint,
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

/// Removes the identities of one cluster that no row remembers. Answers how many.
///
/// The cluster is read first and the store second: a row stands before its
/// objects, so that what is being made at this moment is found remembered. What
/// names an account that is not ours belongs to another installation that shares
/// the cluster, and stays.
pub async fn sweep_identities(
    ports: SweepPorts<'_>,
    cluster: &ClusterName,
) -> Result<usize, SweepError> {
    let held = ports.mint.list(cluster).await?;
    let ids: Vec<IdentityId> = held.iter().filter_map(|identity| identity.id).collect();
    let remembered: HashSet<IdentityId> = ports
        .identities
        .stored_among(&ids)
        .await?
        .into_iter()
        .collect();
    let is_remembered =
        |identity: &LocatedIdentity| identity.id.is_some_and(|id| remembered.contains(&id));
    let mut ours: HashMap<AccountId, bool> = HashMap::new();
    let mut removed = 0;
    for identity in held.iter().filter(|identity| !is_remembered(identity)) {
        let Some(account) = identity.account_id else {
            continue;
        };
        if let std::collections::hash_map::Entry::Vacant(entry) = ours.entry(account) {
            entry.insert(ports.accounts.find(account).await?.is_some());
        }
        if ours[&account] {
            ports.mint.remove(identity).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
