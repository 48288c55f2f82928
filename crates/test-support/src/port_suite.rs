//! What the acts rely on of a cluster, asked through its ports alone: [`TestCluster`] and
//! every cluster that Kubernetes runs answer the same.
//!
//! [`TestCluster`]: crate::cluster::TestCluster

#![allow(
    clippy::unwrap_used,
    reason = "These are checks of tests, which fail by panicking."
)]

use std::time::Duration;

use remotegpu_namespaces::{
    Claim, ClaimHolder, ClusterAccess, ClusterClaims, ClusterDirectory, ClusterError, ClusterName,
    CredentialIdentity, CredentialMint, DatabaseIdentity, IdentityObjects, IdentitySubject,
    KubernetesNamespaceName, LocatedIdentity, LocatedNamespace, LocatedObject, MintError,
    Namespace, NamespaceName, NamespaceProvisioner, NamespaceStatus, PlainClusterToken, Removal,
    StandingClaim, TokenLifetime, WriteClaim,
};
use remotegpu_primitives::{AccountId, ApiKeyId, IdentityId, KeySecretId, NamespaceId};
use time::{OffsetDateTime, macros::datetime};

use crate::{rng, stopwatch::eventually};

/// All that acts ask of a cluster.
pub trait Ports: ClusterDirectory + NamespaceProvisioner + CredentialMint + ClusterClaims {}

impl<T: ClusterDirectory + NamespaceProvisioner + CredentialMint + ClusterClaims> Ports for T {}

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
/// A cluster has this long for what does not happen at once.
const SOON: Duration = Duration::from_secs(30);

/// Runs all checks on the cluster of this name, which has to be up and to hold no claim;
/// it holds none afterwards that counts.
///
/// # Panics
/// One of them does not hold.
pub async fn run(ports: &impl Ports, cluster: &ClusterName) {
    clusters_that_are_not_configured_do_nothing(ports).await;
    namespace_is_made_and_removed_as_often_as_one_likes(ports, cluster).await;
    namespace_of_another_id_is_refused_and_stays(ports, cluster).await;
    namespace_goes_by_its_uid_alone(ports, cluster).await;
    identity_opens_while_both_its_objects_stand(ports, cluster).await;
    late_removal_takes_nothing_newer(ports, cluster).await;
    binding_goes_with_its_namespace(ports, cluster).await;
    lists_name_every_object_once_as_it_is_located(ports, cluster).await;
    claim_is_written_by_compare_and_set(ports, cluster).await;
}

/// A namespace that nobody has made yet.
fn namespace(cluster: &ClusterName, label: &str) -> Namespace {
    Namespace {
        id: NamespaceId::generate(NOW, &mut rng()),
        account_id: AccountId::generate(NOW, &mut rng()),
        name: NamespaceName::from_stored(label.to_owned()),
        kubernetes_namespace: KubernetesNamespaceName::from_stored(format!("{label}-p7k2pq")),
        cluster: cluster.clone(),
        status: NamespaceStatus::Provisioning.into(),
        message: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// One that stands.
async fn made(ports: &impl Ports, cluster: &ClusterName, label: &str) -> Namespace {
    let namespace = namespace(cluster, label);
    ports.provision(&namespace).await.unwrap();
    namespace
}

fn identity(namespace: &Namespace) -> CredentialIdentity {
    CredentialIdentity {
        id: IdentityId::generate(NOW, &mut rng()),
        subject: IdentitySubject::KeySecret {
            key_id: ApiKeyId::generate(NOW, &mut rng()),
            secret_id: KeySecretId::generate(NOW, &mut rng()),
        },
        account_id: namespace.account_id,
        namespace_id: namespace.id,
        kubernetes_namespace: namespace.kubernetes_namespace.clone(),
        cluster: namespace.cluster.clone(),
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: None,
    }
}

/// What the cluster says of the namespace.
async fn standing(ports: &impl Ports, namespace: &Namespace) -> Option<LocatedNamespace> {
    let all = ports.survey(&namespace.cluster).await.unwrap();
    let name = namespace.kubernetes_namespace.as_str();
    let mut found = all.into_iter().filter(|one| one.object.name == name);
    let one = found.next();
    assert_eq!(found.next(), None);
    one
}

async fn until_gone(ports: &impl Ports, namespace: &Namespace) {
    eventually("the namespace is gone", SOON, async || {
        let removal = NamespaceProvisioner::remove(ports, namespace).await;
        removal.unwrap() == Removal::Gone
    })
    .await;
}

/// Makes the identity, and a token that opens its namespace.
async fn working_token(ports: &impl Ports, identity: &CredentialIdentity) -> PlainClusterToken {
    ports.make(identity).await.unwrap();
    let minted = ports.mint(identity, TokenLifetime::MIN).await.unwrap();
    eventually("the token opens", SOON, async || {
        ports.opens(identity, &minted.token).await.unwrap()
    })
    .await;
    minted.token
}

async fn until_closed(
    ports: &impl Ports,
    identity: &CredentialIdentity,
    token: &PlainClusterToken,
) {
    eventually("the token opens nothing", SOON, async || {
        !ports.opens(identity, token).await.unwrap()
    })
    .await;
}

async fn remove(ports: &impl Ports, located: &LocatedIdentity) {
    CredentialMint::remove(ports, located).await.unwrap();
}

fn only_binding(located: &LocatedIdentity) -> LocatedIdentity {
    LocatedIdentity {
        service_account: None,
        ..located.clone()
    }
}

/// All objects of one kind.
async fn listed(
    ports: &impl Ports,
    cluster: &ClusterName,
    kind: IdentityObjects,
) -> Vec<LocatedIdentity> {
    let (mut found, mut place) = (Vec::new(), None);
    loop {
        let page = CredentialMint::list(ports, cluster, kind, place.as_ref()).await;
        let page = page.unwrap();
        found.extend(page.found);
        place = page.next;
        if place.is_none() {
            return found;
        }
    }
}

async fn clusters_that_are_not_configured_do_nothing(ports: &impl Ports) {
    let unknown = ClusterName::parse("nowhere").unwrap();
    assert_eq!(ports.find(&unknown), None);
    let namespace = namespace(&unknown, "nowhere");
    let identity = identity(&namespace);
    let kind = IdentityObjects::Bindings;
    let minted = ports.mint(&identity, TokenLifetime::MIN).await;
    let Err(MintError::Cluster(not_minted)) = minted else {
        panic!("a token of no cluster")
    };
    for refused in [
        ports.provision(&namespace).await.unwrap_err(),
        NamespaceProvisioner::remove(ports, &namespace)
            .await
            .unwrap_err(),
        ports.survey(&unknown).await.unwrap_err(),
        ports.make(&identity).await.unwrap_err(),
        not_minted,
        ports.locate(&identity).await.unwrap_err(),
        CredentialMint::list(ports, &unknown, kind, None)
            .await
            .unwrap_err(),
        ports.read_claim(&unknown).await.unwrap_err(),
    ] {
        let is_told = matches!(&refused, ClusterError::NotConfigured(name) if *name == unknown);
        assert!(is_told, "{refused:?}");
    }
}

async fn namespace_is_made_and_removed_as_often_as_one_likes(
    ports: &impl Ports,
    cluster: &ClusterName,
) {
    // N5
    let namespace = made(ports, cluster, "ports").await;
    let before = standing(ports, &namespace).await.unwrap();
    assert_eq!(before.id, Some(namespace.id));
    assert_eq!(before.account_id, Some(namespace.account_id));
    assert_eq!(before.cluster, *cluster);
    assert!(before.is_whole && !before.is_going);
    ports.provision(&namespace).await.unwrap();
    assert_eq!(standing(ports, &namespace).await, Some(before));
    // An account that takes it over (contract R8).
    let adopted = Namespace {
        account_id: AccountId::generate(NOW, &mut rng()),
        ..namespace.clone()
    };
    ports.provision(&adopted).await.unwrap();
    let after = standing(ports, &namespace).await.unwrap();
    assert_eq!(after.account_id, Some(adopted.account_id));
    until_gone(ports, &namespace).await;
    until_gone(ports, &namespace).await;
    assert_eq!(standing(ports, &namespace).await, None);
}

async fn namespace_of_another_id_is_refused_and_stays(ports: &impl Ports, cluster: &ClusterName) {
    // N5
    let first = made(ports, cluster, "ports-taken").await;
    let other = namespace(cluster, "ports-taken");
    let before = standing(ports, &first).await;
    let refused = ports.provision(&other).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );
    let removed = NamespaceProvisioner::remove(ports, &other).await.unwrap();
    assert_eq!(removed, Removal::Gone);
    assert_eq!(standing(ports, &first).await, before);
    until_gone(ports, &first).await;
}

async fn namespace_goes_by_its_uid_alone(ports: &impl Ports, cluster: &ClusterName) {
    // R8
    let namespace = made(ports, cluster, "ports-discarded").await;
    let seen = standing(ports, &namespace).await.unwrap();
    let mut stale = seen.clone();
    "00000000-0000-0000-0000-000000000000".clone_into(&mut stale.object.uid);
    ports.discard(&stale).await.unwrap();
    assert_eq!(standing(ports, &namespace).await, Some(seen.clone()));
    ports.discard(&seen).await.unwrap();
    ports.discard(&seen).await.unwrap();
    eventually("it goes", SOON, async || {
        let seen = standing(ports, &namespace).await;
        seen.is_none_or(|seen| seen.is_going)
    })
    .await;
    until_gone(ports, &namespace).await;
}

async fn identity_opens_while_both_its_objects_stand(ports: &impl Ports, cluster: &ClusterName) {
    // X9
    let namespace = made(ports, cluster, "ports-opened").await;
    let identity = identity(&namespace);
    let missing = ports.mint(&identity, TokenLifetime::MIN).await.unwrap_err();
    assert!(matches!(missing, MintError::IdentityMissing), "{missing:?}");
    let nothing = ports.locate(&identity).await.unwrap();
    assert_eq!((&nothing.id, &nothing.binding), (&None, &None));
    assert_eq!(nothing.service_account, None);
    remove(ports, &nothing).await;

    let token = working_token(ports, &identity).await;
    let located = ports.locate(&identity).await.unwrap();
    assert_eq!(located.id, Some(identity.id));
    assert_eq!(located.account_id, Some(identity.account_id));
    let place = |object: &Option<LocatedObject>| {
        let object = object.as_ref().unwrap();
        (object.namespace.clone(), object.name.clone())
    };
    let name = identity.object_name();
    let own = identity.kubernetes_namespace.to_string();
    assert_eq!(place(&located.binding), (own, name.clone()));
    let credentials = "remotegpu-credentials".to_owned();
    assert_eq!(place(&located.service_account), (credentials, name));
    // Two first mints at once.
    ports.make(&identity).await.unwrap();
    assert_eq!(ports.locate(&identity).await.unwrap(), located);

    remove(ports, &only_binding(&located)).await;
    until_closed(ports, &identity, &token).await;
    working_token(ports, &identity).await;
    let again = ports.locate(&identity).await.unwrap();
    assert_eq!(again.service_account, located.service_account);
    assert_ne!(again.binding, located.binding);
    // The service account alone.
    let account = LocatedIdentity {
        binding: None,
        ..again.clone()
    };
    remove(ports, &account).await;
    until_closed(ports, &identity, &token).await;
    let missing = ports.mint(&identity, TokenLifetime::MIN).await.unwrap_err();
    assert!(matches!(missing, MintError::IdentityMissing), "{missing:?}");
    remove(ports, &again).await;
    assert_eq!(ports.locate(&identity).await.unwrap(), nothing);
    until_gone(ports, &namespace).await;
}

async fn late_removal_takes_nothing_newer(ports: &impl Ports, cluster: &ClusterName) {
    // X10
    let namespace = made(ports, cluster, "ports-late").await;
    let identity = identity(&namespace);
    ports.make(&identity).await.unwrap();
    let late = ports.locate(&identity).await.unwrap();
    remove(ports, &late).await;
    ports.make(&identity).await.unwrap();
    let newer = ports.locate(&identity).await.unwrap();
    assert_ne!(newer.binding, late.binding);
    assert_ne!(newer.service_account, late.service_account);
    remove(ports, &late).await;
    assert_eq!(ports.locate(&identity).await.unwrap(), newer);
    remove(ports, &newer).await;
    until_gone(ports, &namespace).await;
}

async fn binding_goes_with_its_namespace(ports: &impl Ports, cluster: &ClusterName) {
    // X9, N5
    let namespace = made(ports, cluster, "ports-bound").await;
    let identity = identity(&namespace);
    ports.make(&identity).await.unwrap();
    until_gone(ports, &namespace).await;
    let left = ports.locate(&identity).await.unwrap();
    assert_eq!(left.binding, None);
    assert!(left.service_account.is_some());
    remove(ports, &left).await;
}

async fn lists_name_every_object_once_as_it_is_located(ports: &impl Ports, cluster: &ClusterName) {
    // X10
    let namespace = made(ports, cluster, "ports-listed").await;
    let identities: Vec<_> = (0..5).map(|_| identity(&namespace)).collect();
    let mut located = Vec::new();
    for identity in &identities {
        ports.make(identity).await.unwrap();
        located.push(ports.locate(identity).await.unwrap());
    }
    remove(ports, &only_binding(&located[0])).await;
    let accounts = listed(ports, cluster, IdentityObjects::ServiceAccounts).await;
    let bindings = listed(ports, cluster, IdentityObjects::Bindings).await;
    for (number, located) in located.iter().enumerate() {
        let of = |all: &[LocatedIdentity]| -> Vec<LocatedIdentity> {
            let own = all.iter().filter(|one| one.id == located.id);
            own.cloned().collect()
        };
        let account = LocatedIdentity {
            binding: None,
            ..located.clone()
        };
        assert_eq!(of(&accounts), [account]);
        let binding = (number > 0).then(|| only_binding(located));
        assert_eq!(of(&bindings), binding.into_iter().collect::<Vec<_>>());
    }
    for located in &located {
        remove(ports, located).await;
    }
    for kind in [IdentityObjects::ServiceAccounts, IdentityObjects::Bindings] {
        let left = listed(ports, cluster, kind).await;
        let is_ours = |one: &LocatedIdentity| located.iter().any(|gone| gone.id == one.id);
        assert!(!left.iter().any(is_ours), "{left:?}");
    }
    until_gone(ports, &namespace).await;
}

async fn claim_is_written_by_compare_and_set(ports: &impl Ports, cluster: &ClusterName) {
    // R9
    let found = ports.read_claim(cluster).await.unwrap();
    assert_eq!(found.standing, StandingClaim::Absent);
    let claim = |counter| Claim {
        holder: ClaimHolder {
            installation: "0198f3a2-6f3e-7c11-9d51-2f4a8c1d7e01".parse().unwrap(),
            database: DatabaseIdentity::parse("7512/16384#16390"),
        },
        counter,
        cluster: found.cluster.clone(),
    };
    let write = async |counter, over| {
        let claim = claim(counter);
        ports.write_claim(cluster, &claim, over).await.unwrap()
    };
    assert_eq!(write(1, None).await, WriteClaim::Written);
    // Whoever else found none is told so.
    assert_eq!(write(9, None).await, WriteClaim::Changed);
    let first = ports.read_claim(cluster).await.unwrap();
    assert_eq!(first.cluster, found.cluster);
    assert_eq!(write(2, first.version()).await, WriteClaim::Written);
    assert_eq!(write(3, first.version()).await, WriteClaim::Changed);
    let second = ports.read_claim(cluster).await.unwrap();
    let StandingClaim::Present {
        claim: Some(stands),
        ..
    } = &second.standing
    else {
        panic!("{second:?}")
    };
    assert_eq!(*stands, claim(2));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{clock::TestClock, cluster::TestCluster};

    #[tokio::test]
    async fn test_cluster_answers_as_clusters_do() {
        let cluster = TestCluster::new(Arc::new(TestClock::default()));
        let name = ClusterDirectory::list(&cluster).remove(0).name;
        run(&cluster, &name).await;
    }
}
