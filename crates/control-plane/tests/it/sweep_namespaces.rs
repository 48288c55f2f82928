//! The clusters follow the store where nobody has asked for anything (contract N5).

use remotegpu_namespaces::{
    KubernetesNamespaceName, Namespace, NamespaceProvisioner, NamespaceRepository, NamespaceStatus,
};
use remotegpu_primitives::{AccountId, NamespaceId};
use remotegpu_test_support::rng;
use time::Duration;

use crate::world::World;

/// An active namespace that stands in the cluster.
async fn standing(world: &World, name: &str) -> Namespace {
    let namespace = world.namespace(name).await;
    world.cluster.provision(&namespace).await.unwrap();
    world.clock.advance(Duration::SECOND);
    namespace
}

fn counts(world: &World) -> (u64, u64) {
    (world.sweeps.repaired(), world.sweeps.removed())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bent_or_lost_is_put_right_and_nothing_else_is_touched() {
    // N5
    let world = World::new().await;
    let [whole, bent, lost] = [
        standing(&world, "whole").await,
        standing(&world, "bent").await,
        standing(&world, "lost").await,
    ];
    world.sweep().await;
    assert_eq!(counts(&world), (0, 0));

    world.cluster.bend(bent.kubernetes_namespace.as_str());
    world
        .cluster
        .lose_namespace(lost.kubernetes_namespace.as_str());
    world.sweep().await;
    assert_eq!(counts(&world), (2, 0));
    for namespace in [&whole, &bent, &lost] {
        let name = namespace.kubernetes_namespace.as_str();
        assert!(world.cluster.is_whole(name), "{name}");
    }
    world.sweep().await;
    assert_eq!(counts(&world), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_knows_is_removed_if_its_account_is_ours() {
    // N5
    let world = World::new().await;
    let kept = standing(&world, "kept").await;
    // A tombstone, whose namespace somebody has brought back.
    let gone = standing(&world, "gone").await;
    world.delete(&gone).await;
    world.reconcile().await;
    assert_eq!(world.find(&gone).await, None);
    world.cluster.provision(&gone).await.unwrap();
    // No row at all, and one of another installation.
    let named = |name: &str, account_id| Namespace {
        id: NamespaceId::generate(world.now(), &mut rng()),
        account_id,
        kubernetes_namespace: KubernetesNamespaceName::from_stored(name.to_owned()),
        ..kept.clone()
    };
    let unknown = named("unknown-x7k2pq", kept.account_id);
    let foreign = named(
        "foreign-x7k2pq",
        AccountId::generate(world.now(), &mut rng()),
    );
    // And one that bears the label of a namespace that stands elsewhere.
    let mut astray = named("astray-x7k2pq", kept.account_id);
    astray.id = kept.id;
    for namespace in [&unknown, &foreign, &astray] {
        world.cluster.provision(namespace).await.unwrap();
    }
    world.sweep().await;
    let mut left = [
        kept.kubernetes_namespace.as_str(),
        "astray-x7k2pq",
        "foreign-x7k2pq",
    ];
    left.sort_unstable();
    assert_eq!(world.cluster.namespaces(), left);
    assert_eq!(counts(&world), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_clusters_row_knows_stays_where_it_stands() {
    // N5: the cluster was renamed, or one API server has two names.
    let world = World::new().await;
    let here = standing(&world, "here").await;
    let (store, now) = (&world.store, world.now());
    let elsewhere = store.namespace_in("old-name", &world.ada, "elsewhere", now);
    let elsewhere = elsewhere.await.unwrap();
    let going = store.namespace_in("old-name", &world.ada, "going", now);
    let going = going.await.unwrap();
    for namespace in [&elsewhere, &going] {
        world.cluster.provision(namespace).await.unwrap();
    }
    world.delete(&going).await;
    world.sweep().await;
    let mut all = [&here, &elsewhere, &going].map(|one| one.kubernetes_namespace.as_str());
    all.sort_unstable();
    assert_eq!(world.cluster.namespaces(), all);
    assert_eq!(counts(&world), (0, 0));
}

/// Namespaces of the account that no row knows.
async fn forgotten(world: &World, count: usize) -> Vec<Namespace> {
    let like = standing(world, &format!("known-{count}")).await;
    let mut made = Vec::new();
    for number in 0..count {
        let name = format!("forgotten-{number}-x7k2pq");
        let one = Namespace {
            id: NamespaceId::generate(world.now(), &mut rng()),
            kubernetes_namespace: KubernetesNamespaceName::from_stored(name),
            ..like.clone()
        };
        world.cluster.provision(&one).await.unwrap();
        made.push(one);
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn most_of_a_cluster_is_never_removed_in_one_sweep() {
    // N5: such as by a server that was started on a backup.
    let world = World::new().await;
    let forgotten = forgotten(&world, 11).await;
    world.sweep().await;
    assert_eq!(counts(&world), (0, 0));
    assert_eq!(world.cluster.namespaces().len(), 12);
    // What is left is few enough to be the remains of requests that died.
    let last = forgotten.last().unwrap().kubernetes_namespace.as_str();
    world.cluster.lose_namespace(last);
    world.sweep().await;
    assert_eq!(counts(&world), (0, 10));
    assert_eq!(world.cluster.namespaces().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_removed_where_the_store_knows_as_many() {
    // N5
    let world = World::new().await;
    for number in 0..10 {
        standing(&world, &format!("kept-{number}")).await;
    }
    forgotten(&world, 11).await;
    world.sweep().await;
    assert_eq!(counts(&world), (0, 11));
    assert_eq!(world.cluster.namespaces().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_made_or_deleted_is_left_to_the_reconciler() {
    // N5
    let world = World::new().await;
    let going = standing(&world, "going").await;
    world.delete(&going).await;
    world.cluster.bend(going.kubernetes_namespace.as_str());
    // Made a moment ago: the survey may have seen half of it.
    let young = world.namespace("young").await;
    world.sweep().await;
    assert_eq!(counts(&world), (0, 0));
    assert_eq!(
        world.cluster.namespaces(),
        [going.kubernetes_namespace.as_str()]
    );
    world.clock.advance(Duration::SECOND);
    world.sweep().await;
    assert_eq!(counts(&world), (1, 0));
    assert!(world.cluster.is_whole(young.kubernetes_namespace.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_put_right_keeps_no_other_waiting() {
    let world = World::new().await;
    let bent = standing(&world, "bent").await;
    world.cluster.bend(bent.kubernetes_namespace.as_str());
    world.cluster.set_refusal(Some("no room"));
    world.sweep().await;
    assert_eq!(counts(&world), (0, 0));
    let known = world.find(&bent).await.unwrap();
    assert_eq!(known.status, NamespaceStatus::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_refused_keeps_nothing_else_waiting() {
    let world = World::new().await;
    let bent = standing(&world, "bent").await;
    let forgotten = forgotten(&world, 3).await;
    let name = |namespace: &Namespace| namespace.kubernetes_namespace.as_str().to_owned();
    world.cluster.bend(&name(&bent));
    world
        .cluster
        .keep([&*name(&forgotten[0]), &name(&forgotten[1])]);
    world.sweep().await;
    assert!(world.cluster.is_whole(&name(&bent)));
    assert_eq!(counts(&world), (1, 1));
    world.cluster.keep([]);
    world.sweep().await;
    assert_eq!(counts(&world), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_a_deletion_up_is_shown_until_it_does_no_more() {
    // N5
    let world = World::new().await;
    let held = standing(&world, "held").await;
    world.cluster.hold_up(Some("finalizers remaining: a.io/b"));
    world.delete(&held).await;
    world.reconcile().await;
    let known = NamespaceRepository::find(&world.store.database, held.account_id, held.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.status, NamespaceStatus::Deleting);
    assert_eq!(
        known.message.as_deref(),
        Some("The cluster is removing what the namespace holds: finalizers remaining: a.io/b")
    );
    world.sweep().await;
    assert_eq!(counts(&world), (0, 0));
    world.cluster.hold_up(None);
    world.clock.advance(Duration::seconds(6));
    world.reconcile().await;
    assert_eq!(world.find(&held).await, None);
}
