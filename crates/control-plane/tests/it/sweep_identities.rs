//! Sweeps over the identities of a cluster.

use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClusterAccess, CredentialIdentity, CredentialMint, IdentitySubject, Namespace,
};
use remotegpu_primitives::{AccountId, ApiKeyId, IdentityId, KeySecretId};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{act, cluster::Step, rng};

use crate::world::World;

/// An identity that no row remembers.
fn orphan(world: &World, at: &Namespace, account_id: AccountId) -> CredentialIdentity {
    CredentialIdentity {
        id: IdentityId::generate(world.now(), &mut rng()),
        subject: IdentitySubject::KeySecret {
            key_id: ApiKeyId::generate(world.now(), &mut rng()),
            secret_id: KeySecretId::generate(world.now(), &mut rng()),
        },
        account_id,
        namespace_id: at.id,
        kubernetes_namespace: at.kubernetes_namespace.clone(),
        cluster: at.cluster.clone(),
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_removes_what_nobody_remembers_and_nothing_else() {
    // X10
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    let elsewhere = AccountId::generate(world.now(), &mut rng());
    for account in [world.ada.account.id, elsewhere] {
        world
            .cluster
            .make(&orphan(&world, &namespace, account))
            .await
            .unwrap();
    }
    assert_eq!(world.cluster.identities(), (3, 3));
    // A service account and a binding.
    for removed in [2, 0] {
        assert_eq!(world.sweep_identities().await, removed);
    }
    assert_eq!(world.cluster.identities(), (2, 2));
    assert!(world.mint(&secret, namespace.id).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_binds_again_what_lives_and_has_lost_its_binding() {
    // X9: with a namespace that was deleted in the cluster, its bindings go.
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let key = async || {
        let (key, secret) = world.key(Scopes::All).await;
        world.mint(&secret, namespace.id).await.unwrap();
        key
    };
    let (living, revoked) = (key().await, key().await);
    world.cluster.lose_bindings();
    let account = world.ada.account.id;
    world.revoke(revoked.id).await;
    assert_eq!(world.cluster.identities(), (2, 0));
    assert_eq!(world.sweep_identities().await, 0);
    assert_eq!(world.cluster.identities(), (2, 1));
    world.reconcile().await;
    assert_eq!(world.cluster.identities(), (1, 1));

    // Revoked at the very time at which it is bound again.
    world.cluster.lose_bindings();
    let (store, now) = (world.store.database.clone(), world.now());
    let living = living.id;
    world.cluster.at(Step::Make, move || {
        let store = store.clone();
        async move {
            store.revoke(account, living, &act(now)).await.unwrap();
        }
    });
    assert_eq!(world.sweep_identities().await, 0);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_fails_keeps_no_other_from_being_worked_on() {
    // R10: the cluster is up, and some of its objects answer with an error.
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let ada = world.ada.account.id;
    let mut orphans = Vec::new();
    for _ in 0..5 {
        let orphan = orphan(&world, &namespace, ada);
        world.cluster.make(&orphan).await.unwrap();
        orphans.push(orphan.object_name());
    }
    let mut living = Vec::new();
    for _ in 0..3 {
        let key = world.store.key(&world.ada, Scopes::All, None, world.now());
        let secret = key.await.unwrap().1;
        world.mint(&secret, namespace.id).await.unwrap();
        let known = world.cluster.service_accounts();
        let new = |name: &String| !orphans.contains(name) && !living.contains(name);
        living.push(known.into_iter().find(new).unwrap());
    }
    world.cluster.lose_bindings();
    for orphan in &orphans {
        assert!(world.cluster.service_accounts().contains(orphan));
    }
    world
        .cluster
        .fail_for([&*orphans[0], &*orphans[3], &*living[1]]);
    assert_eq!(world.sweep_identities().await, 3);
    // Two orphans stay, and one that lives is not bound again.
    assert_eq!(world.cluster.identities(), (5, 2));
    world.cluster.fail_for([]);
    assert_eq!(world.sweep_identities().await, 2);
    assert_eq!(world.cluster.identities(), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_goes_before_anything_is_put_right() {
    // R10, X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let key = world.store.key(&world.ada, Scopes::All, None, world.now());
    let secret = key.await.unwrap().1;
    world.mint(&secret, namespace.id).await.unwrap();
    world.cluster.lose_bindings();
    let orphan = orphan(&world, &namespace, world.ada.account.id);
    world.cluster.make(&orphan).await.unwrap();
    let (cluster, seen) = (world.cluster.clone(), std::sync::Arc::default());
    let told: std::sync::Arc<std::sync::Mutex<Vec<(usize, usize)>>> = std::sync::Arc::clone(&seen);
    world.cluster.at(Step::Make, move || {
        told.lock().unwrap().push(cluster.identities());
        async {}
    });
    assert_eq!(world.sweep_identities().await, 2);
    // Nothing of the orphan stood any more when the living one was bound.
    assert_eq!(*seen.lock().unwrap(), [(1, 0)]);
    assert_eq!(world.cluster.identities(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_ends_the_sweep() {
    // R10
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let orphan = orphan(&world, &namespace, world.ada.account.id);
    world.cluster.make(&orphan).await.unwrap();
    world.cluster.set_up(false);
    assert!(world.try_to_sweep_identities().await.is_err());
    world.cluster.set_up(true);
    assert_eq!(world.sweep_identities().await, 2);
}
