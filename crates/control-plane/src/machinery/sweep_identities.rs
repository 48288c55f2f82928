//! What a cluster holds under our labels and no row remembers is removed
//! (contract X10): the work of a request that died between two steps. And a living
//! identity that has lost its binding, with its namespace for one, gets it back.
//!
//! A cluster is worked on as its pages come: first the service accounts, then the
//! bindings, and what is found to be nobody's goes at once, before anything is
//! repaired. What is kept in memory between pages is the identifiers of the service
//! accounts that stand, some seventeen bytes each.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use remotegpu_accounts::AccountRepository;
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialIdentity, CredentialMint,
    IdentityObjects, IdentityPage, IdentityRepository, IdentityStanding, ListPlace,
    LocatedIdentity,
};
use remotegpu_primitives::{Clock, IdentityId, StoreError};

use crate::{SweepCounts, machinery::own_accounts::OwnAccounts};

/// How many objects of a page are worked on at once: one that a webhook holds up for
/// seconds delays few.
const AT_ONCE: usize = 16;
/// How many rows are read at once of identities that have lost their binding.
const ROWS: usize = 200;
/// How long a page is waited for that the cluster, which is up, did not answer.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// How many failures of a sweep are told one by one.
const TOLD: usize = 10;

/// What sweeping needs.
#[derive(Clone, Copy)]
pub struct SweepPorts<'a> {
    /// Which identities are remembered.
    pub identities: &'a dyn IdentityRepository,
    /// Which accounts are this installation's.
    pub accounts: &'a dyn AccountRepository,
    /// Which clusters answer.
    pub clusters: &'a dyn ClusterDirectory,
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
/// again that have lost their binding. Answers how many objects it removed.
///
/// Each page is read first and the store second: a row stands before its objects, so
/// that what is being made at this moment is found remembered. What names an account
/// that is not ours belongs to another installation that shares the cluster, and stays.
/// An object that fails is told of and left to the next sweep; only a cluster that is
/// down ends this one (contract R10).
pub async fn sweep_identities(
    ports: SweepPorts<'_>,
    cluster: &ClusterName,
    clock: &dyn Clock,
) -> Result<usize, SweepError> {
    let mut sweep = Sweep {
        ports,
        cluster,
        ours: OwnAccounts::new(ports.accounts),
        removed: 0,
        failed: 0,
    };
    let mut standing = Standing::default();
    let mut place = None;
    loop {
        let page = sweep.page(IdentityObjects::ServiceAccounts, place.as_ref());
        let page = page.await?;
        standing.ids.extend(sweep.remove_unknown(&page).await?);
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    standing.settle();
    loop {
        let page = sweep
            .page(IdentityObjects::Bindings, place.as_ref())
            .await?;
        let known = sweep.remove_unknown(&page).await?;
        standing.mark_bound(&page, &known);
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    // First what must not be, then what is missing.
    sweep.bind_again(standing, clock).await?;
    if sweep.failed > TOLD {
        tracing::warn!(
            %cluster,
            failed = sweep.failed,
            "more objects of cluster identities failed than were told of"
        );
    }
    Ok(sweep.removed)
}

/// The living identities whose service accounts were found, and which of them have
/// their binding.
#[derive(Default)]
struct Standing {
    ids: Vec<IdentityId>,
    bound: Vec<bool>,
}

impl Standing {
    /// A list that was begun anew may have named one twice.
    fn settle(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.bound = vec![false; self.ids.len()];
    }

    fn mark_bound(&mut self, page: &IdentityPage, known: &HashSet<IdentityId>) {
        for found in &page.found {
            let (Some(id), Some(binding)) = (found.id, &found.binding) else {
                continue;
            };
            // One of another name that bears our label binds nothing of ours.
            if !known.contains(&id) || !CredentialIdentity::is_name_of(&binding.name, id) {
                continue;
            }
            if let Ok(place) = self.ids.binary_search(&id) {
                self.bound[place] = true;
            }
        }
    }

    fn into_unbound(self) -> Vec<IdentityId> {
        let all = self.ids.into_iter().zip(self.bound);
        all.filter_map(|(id, bound)| (!bound).then_some(id))
            .collect()
    }
}

struct Sweep<'a> {
    ports: SweepPorts<'a>,
    cluster: &'a ClusterName,
    ours: OwnAccounts<'a>,
    removed: usize,
    failed: usize,
}

impl Sweep<'_> {
    /// Reads one page, if need be again: a list of thousands is not begun anew because
    /// one request was lost.
    async fn page(
        &self,
        kind: IdentityObjects,
        place: Option<&ListPlace>,
    ) -> Result<IdentityPage, SweepError> {
        let mut pauses = PAUSES.iter();
        loop {
            match self.ports.mint.list(self.cluster, kind, place).await {
                Ok(page) => return Ok(page),
                Err(error) => {
                    let Some(pause) = pauses.next() else {
                        return Err(error.into());
                    };
                    check_up(self.ports, self.cluster, error)?;
                    tokio::time::sleep(*pause).await;
                }
            }
        }
    }

    /// Removes what of the page is ours and nobody's; answers whose the rest is.
    async fn remove_unknown(
        &mut self,
        page: &IdentityPage,
    ) -> Result<HashSet<IdentityId>, SweepError> {
        let ids: Vec<IdentityId> = page.found.iter().filter_map(|found| found.id).collect();
        let known = self.ports.identities.known_among(&ids).await?;
        let known: HashSet<IdentityId> = known.into_iter().collect();
        let mut unknown = Vec::new();
        for found in &page.found {
            if found.id.is_some_and(|id| known.contains(&id)) {
                continue;
            }
            let Some(account) = found.account_id else {
                continue;
            };
            if self.ports.may_remove && self.ours.has(account).await? {
                unknown.push(found.clone());
            }
        }
        let mint = self.ports.mint;
        let mut removing = stream::iter(unknown)
            .map(|found| async move {
                let removed = mint.remove(&found).await;
                (found, removed)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((found, removed)) = removing.next().await {
            match removed {
                Ok(()) => {
                    self.ports.counts.identity_removed();
                    self.removed += 1;
                }
                Err(error) => {
                    let what = "an object of a cluster identity that nobody remembers could not \
                                be removed";
                    tell(
                        &mut self.failed,
                        self.cluster,
                        &name_of(&found),
                        &error,
                        what,
                    );
                    check_up(self.ports, self.cluster, error)?;
                }
            }
        }
        Ok(known)
    }

    /// Gives living identities their bindings again.
    async fn bind_again(
        &mut self,
        standing: Standing,
        clock: &dyn Clock,
    ) -> Result<(), SweepError> {
        for ids in standing.into_unbound().chunks(ROWS) {
            let rows = self.ports.identities.stored_among(ids).await?;
            let ports = self.ports;
            // One that was not seen to work yet is being made at this moment.
            let mut binding = stream::iter(rows.into_iter().filter(|row| row.bound))
                .map(|row| async move {
                    let bound = bind_again(ports, &row, clock).await;
                    (row, bound)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((row, bound)) = binding.next().await {
                match bound {
                    Ok(()) => {}
                    Err(error @ SweepError::Store(_)) => return Err(error),
                    Err(SweepError::Cluster(error)) => {
                        let what = "a cluster identity that has lost its binding could not be \
                                    bound again";
                        let name = row.object_name();
                        tell(&mut self.failed, self.cluster, &name, &error, what);
                        check_up(self.ports, self.cluster, error)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn tell(
    failed: &mut usize,
    cluster: &ClusterName,
    object: &str,
    error: &ClusterError,
    what: &'static str,
) {
    *failed += 1;
    if *failed <= TOLD {
        tracing::warn!(
            %cluster,
            object,
            error = error as &dyn std::error::Error,
            "{what}"
        );
    }
}

/// Goes on after an object that failed, unless its cluster is down.
fn check_up(
    ports: SweepPorts<'_>,
    cluster: &ClusterName,
    error: ClusterError,
) -> Result<(), SweepError> {
    match ports.clusters.status(cluster) {
        ClusterStatus::Unavailable => Err(error.into()),
        _ => Ok(()),
    }
}

fn name_of(found: &LocatedIdentity) -> String {
    let object = found.binding.as_ref().or(found.service_account.as_ref());
    object.map_or_else(String::new, |object| {
        format!("{}/{}", object.namespace, object.name)
    })
}

/// Gives a living identity its binding again.
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
    if has_ended().await? {
        return Ok(());
    }
    let made = ports.mint.make(identity).await;
    // Who ended it meanwhile may have been done before there was anything to remove.
    if has_ended().await? {
        let located = ports.mint.locate(identity).await?;
        ports.mint.remove(&located).await?;
        return Ok(());
    }
    made?;
    ports.counts.identity_bound_again();
    tracing::warn!(
        identity = %identity.id,
        cluster = %identity.cluster,
        "a cluster identity that had lost its binding is bound again"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use remotegpu_namespaces::LocatedObject;

    use super::*;

    #[test]
    fn an_identity_is_bound_by_a_binding_of_its_own_name_alone() {
        let id = |number: u128| IdentityId::from_uuid(uuid::Uuid::from_u128(number));
        let binding = |id: IdentityId, name: String| LocatedIdentity {
            id: Some(id),
            account_id: None,
            cluster: ClusterName::from_stored("test".to_owned()),
            binding: Some(LocatedObject {
                namespace: "team".to_owned(),
                name,
                uid: "u".to_owned(),
            }),
            service_account: None,
            binding_obstacle: None,
            account_obstacle: None,
        };
        let name = |id: IdentityId| format!("key-0-{}", id.as_uuid().simple());
        let mut standing = Standing {
            ids: vec![id(3), id(1), id(2), id(3)],
            bound: Vec::new(),
        };
        standing.settle();
        let page = IdentityPage {
            found: vec![
                binding(id(3), name(id(3))),
                binding(id(1), name(id(2))),
                binding(id(9), name(id(9))),
            ],
            next: None,
        };
        standing.mark_bound(&page, &[id(1), id(2), id(3), id(9)].into());
        assert_eq!(standing.into_unbound(), [id(1), id(2)]);
    }
}
