//! The clusters follow the store where nobody has asked for anything (contract N5).

use std::sync::Arc;

use remotegpu_control_plane::SweepError;
use remotegpu_namespaces::{
    BacklogSource, KubernetesNamespaceName, Namespace, NamespaceProvisioner, NamespaceRepository,
    NamespaceStatus,
};
use remotegpu_primitives::{AccountId, NamespaceId};
use remotegpu_test_support::{cluster::Step, rng};
use time::Duration;
use tokio::sync::Notify;

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
async fn what_was_deleted_and_stands_again_goes_and_what_has_no_row_stays() {
    // N5, R8
    let world = World::new().await;
    let kept = standing(&world, "kept").await;
    // A tombstone, whose namespace somebody has brought back.
    let gone = standing(&world, "gone").await;
    world.delete(&gone).await;
    world.reconcile().await;
    assert_eq!(world.find(&gone).await, None);
    world.cluster.provision(&gone).await.unwrap();
    // The same tombstone's label on something else.
    let like_it = Namespace {
        kubernetes_namespace: KubernetesNamespaceName::from_stored("like-it-x7k2pq".to_owned()),
        ..gone.clone()
    };
    world.cluster.provision(&like_it).await.unwrap();
    // No row at all, and one whose account is not ours.
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
    for _ in 0..3 {
        world.sweep().await;
    }
    let mut left = [
        kept.kubernetes_namespace.as_str(),
        "astray-x7k2pq",
        "foreign-x7k2pq",
        "like-it-x7k2pq",
        "unknown-x7k2pq",
    ];
    left.sort_unstable();
    assert_eq!(world.cluster.namespaces(), left);
    assert_eq!(counts(&world), (0, 1));
    let held = world.held().await;
    let called = held.iter();
    let called: Vec<&str> = called
        .map(|held| held.kubernetes_namespace.as_str())
        .collect();
    assert_eq!(
        called,
        ["foreign-x7k2pq", "like-it-x7k2pq", "unknown-x7k2pq"]
    );
    assert_eq!(held[2].namespace_id, unknown.id);
    assert_eq!(held[0].account_id, Some(foreign.account_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_claim_that_counts_nothing_is_removed_and_all_else_is_done() {
    // R9
    let world = World::new().await;
    let bent = standing(&world, "bent").await;
    let gone = standing(&world, "gone").await;
    world.delete(&gone).await;
    world.reconcile().await;
    world.cluster.provision(&gone).await.unwrap();
    world.cluster.bend(bent.kubernetes_namespace.as_str());
    world.sweep_with(false).await.unwrap();
    assert_eq!(counts(&world), (1, 0));
    assert_eq!(world.cluster.namespaces().len(), 2);
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
        let here = Namespace {
            cluster: world.cluster_name(),
            ..namespace.clone()
        };
        world.cluster.provision(&here).await.unwrap();
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
async fn no_part_of_a_cluster_is_removed_because_the_store_does_not_know_it() {
    // R8: of 200 namespaces 60 were made after the backup.
    let world = World::new().await;
    for number in 0..140 {
        standing(&world, &format!("kept-{number}")).await;
    }
    let forgotten = forgotten(&world, 60).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    assert_eq!(counts(&world), (0, 0));
    // One more stands, which the forgotten ones were made like.
    assert_eq!(world.cluster.namespaces().len(), 201);
    assert_eq!(world.held().await.len(), forgotten.len());
    let backlog = world.store.database.backlog(world.now()).await.unwrap();
    assert_eq!(backlog.held, [(world.cluster_name(), 60)]);
    // What somebody deletes with kubectl is not held any more.
    let last = forgotten.last().unwrap().kubernetes_namespace.as_str();
    world.cluster.lose_namespace(last);
    world.sweep().await;
    assert_eq!(world.held().await.len(), 59);
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
    let mut deleted = Vec::new();
    for name in ["one", "two", "three"] {
        let namespace = standing(&world, name).await;
        world.delete(&namespace).await;
        world.reconcile().await;
        world.cluster.provision(&namespace).await.unwrap();
        deleted.push(namespace);
    }
    let name = |namespace: &Namespace| namespace.kubernetes_namespace.as_str().to_owned();
    world.cluster.bend(&name(&bent));
    world
        .cluster
        .keep([&*name(&deleted[0]), &name(&deleted[1])]);
    world.sweep().await;
    assert!(world.cluster.is_whole(&name(&bent)));
    assert_eq!(counts(&world), (1, 1));
    world.cluster.keep([]);
    world.sweep().await;
    assert_eq!(counts(&world), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_hangs_keeps_nothing_else_waiting() {
    // R8, R10
    let world = World::new().await;
    let name = |namespace: &Namespace| namespace.kubernetes_namespace.as_str().to_owned();
    let bent = standing(&world, "bent").await;
    let unknown = Namespace {
        id: NamespaceId::generate(world.now(), &mut rng()),
        kubernetes_namespace: KubernetesNamespaceName::from_stored("unknown-x7k2pq".to_owned()),
        ..bent.clone()
    };
    world.cluster.provision(&unknown).await.unwrap();
    let mut deleted = Vec::new();
    for label in ["one", "two", "three"] {
        let namespace = standing(&world, label).await;
        world.delete(&namespace).await;
        world.reconcile().await;
        world.cluster.provision(&namespace).await.unwrap();
        deleted.push(name(&namespace));
    }
    world.cluster.bend(&name(&bent));
    world.cluster.hang([&*deleted[0]]);
    let all_else = async {
        while counts(&world) != (1, 2) || world.held().await.len() != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let within = std::time::Duration::from_secs(10);
    tokio::select! {
        () = world.sweep() => panic!("it ends only when the cluster answers"),
        done = tokio::time::timeout(within, all_else) => done.unwrap(),
    }
    assert!(world.cluster.namespaces().contains(&deleted[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_ends_the_sweep() {
    let world = World::new().await;
    standing(&world, "any").await;
    world.cluster.set_up(false);
    assert!(world.sweep_with(true).await.is_err());
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

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_under_way_is_done_though_a_repair_fails() {
    // N5
    let world = World::new().await;
    let bent = standing(&world, "bent").await;
    let gone = standing(&world, "gone").await;
    world.delete(&gone).await;
    world.reconcile().await;
    world.cluster.provision(&gone).await.unwrap();
    world.cluster.bend(bent.kubernetes_namespace.as_str());
    // The cluster goes down while something is removed, and lets that come to its end.
    let down = Arc::new(Notify::new());
    let (cluster, tell) = (world.cluster.clone(), down.clone());
    world.cluster.at(Step::Provision, move || {
        cluster.set_up(false);
        tell.notify_one();
        async {}
    });
    let cluster = world.cluster.clone();
    world.cluster.at(Step::Discard, move || {
        let (cluster, down) = (cluster.clone(), down.clone());
        async move {
            down.notified().await;
            // Longer than it takes to tell of the failure.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            cluster.set_up(true);
        }
    });
    let swept = world.sweep_with(true).await;
    assert!(matches!(swept, Err(SweepError::Cluster(_))), "{swept:?}");
    assert_eq!(counts(&world), (0, 1));
    let left = [bent.kubernetes_namespace.as_str()];
    assert_eq!(world.cluster.namespaces(), left);
}
