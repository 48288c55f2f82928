//! One database acts in a cluster (contract R9).

use std::sync::Arc;

use remotegpu_control_plane::{
    ClaimPreview, CreateNamespace, CreateNamespacePorts, Operator, claim_cluster, create_namespace,
    preview_claim, raise_claim, verify_claim, verify_claims,
};
use remotegpu_namespaces::{
    ClaimRepository, ClaimState, ClusterDirectory, ClusterError, ClusterStatus, CredentialMint,
    IdentityObjects, KnownClaim, LocatedNamespace, LocatedObject, NamespaceName,
    NamespaceProvisioner, NamespaceStatus,
};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{rng, stopwatch::Stopwatch};
use time::Duration;

use crate::world::World;

async fn verify(world: &World) -> ClaimState {
    let cluster = world.cluster_name();
    verify_claim(&world.claim_ports(), &cluster).await.unwrap()
}

async fn raise(world: &World) -> ClaimState {
    let cluster = world.cluster_name();
    raise_claim(&world.claim_ports(), &cluster).await.unwrap()
}

async fn claim(world: &World) {
    let cluster = world.cluster_name();
    claim_cluster(
        world.operator_ports(),
        Operator::at_the_command_line(),
        &cluster,
        world.now(),
    )
    .await
    .unwrap();
}

async fn preview(world: &World) -> ClaimPreview {
    let cluster = world.cluster_name();
    preview_claim(
        world.operator_ports(),
        Operator::at_the_command_line(),
        &cluster,
        world.now(),
    )
    .await
    .unwrap()
}

async fn known(world: &World) -> KnownClaim {
    let cluster = world.cluster_name();
    let known = world.store.database.known_claim(&cluster);
    known.await.unwrap().unwrap()
}

/// What a restore does to the counter.
async fn go_back_to(world: &World, before: &KnownClaim) {
    let cluster = world.cluster_name();
    let back = world.store.database.take_claim(&cluster, before);
    back.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cluster_is_taken_and_each_sweep_raises_its_claim() {
    // R9
    let world = World::settled().await;
    assert_eq!(verify(&world).await, ClaimState::Held);
    for counter in 2..5 {
        assert_eq!(raise(&world).await, ClaimState::Held);
        assert_eq!(world.cluster.claim().unwrap().counter, counter);
        assert_eq!(known(&world).await.counter, counter);
        assert_eq!(verify(&world).await, ClaimState::Held);
    }
    assert_eq!(world.gate.state(&world.cluster_name()), ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_claim_is_taken_by_who_knows_it() {
    // R9
    let world = World::settled().await;
    let namespace = world.namespace("known").await;
    world.cluster.provision(&namespace).await.unwrap();
    let stranger = World::beside(world.clock.clone(), world.cluster.clone()).await;
    assert_eq!(verify(&stranger).await, ClaimState::Unclaimed);
    assert_eq!(world.cluster.claim(), None);
    assert_eq!(verify(&world).await, ClaimState::Held);
    assert_eq!(verify(&stranger).await, ClaimState::Foreign);
    // Somebody deletes it with kubectl: the same holds again.
    world.cluster.set_claim(None);
    assert_eq!(verify(&stranger).await, ClaimState::Unclaimed);
    assert_eq!(raise(&world).await, ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_in_a_cluster_that_another_database_acts_in() {
    // R9
    let world = World::settled().await;
    let namespace = world.namespace("known").await;
    world.cluster.provision(&namespace).await.unwrap();
    verify_claims(&world.claim_ports()).await;
    let copy = World::beside(world.clock.clone(), world.cluster.clone()).await;
    let clusters = copy.claimed();
    let name = copy.cluster_name();
    // Nobody has looked yet.
    assert!(clusters.provision(&namespace).await.is_err());
    assert_eq!(clusters.claim(&name), ClaimState::Unknown);
    verify_claims(&copy.claim_ports()).await;
    assert_eq!(clusters.claim(&name), ClaimState::Foreign);
    assert_eq!(clusters.status(&name), ClusterStatus::Unavailable);
    let located = LocatedNamespace {
        id: Some(namespace.id),
        account_id: None,
        cluster: name.clone(),
        object: LocatedObject {
            namespace: String::new(),
            name: namespace.kubernetes_namespace.as_str().to_owned(),
            uid: "uid-1".to_owned(),
        },
        is_whole: true,
        is_going: false,
    };
    let away = |error: ClusterError| {
        assert!(
            matches!(error, ClusterError::Unavailable(Some(_))),
            "{error:?}"
        );
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("foreign"), "{why}");
    };
    away(clusters.provision(&namespace).await.unwrap_err());
    let removed = NamespaceProvisioner::remove(&clusters, &namespace).await;
    away(removed.unwrap_err());
    away(clusters.discard(&located).await.unwrap_err());
    away(
        NamespaceProvisioner::survey(&clusters, &name)
            .await
            .unwrap_err(),
    );
    let kind = IdentityObjects::ServiceAccounts;
    let listed = CredentialMint::list(&clusters, &name, kind, None).await;
    away(listed.unwrap_err());
    assert_eq!(raise(&copy).await, ClaimState::Foreign);
    assert_eq!(world.cluster.namespaces().len(), 1);
    // Production notices nothing.
    assert_eq!(world.cluster.claim().unwrap().counter, 1);
    assert_eq!(verify(&world).await, ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_asked_for_elsewhere_is_provisioning_at_once() {
    // R9
    let world = World::settled().await;
    verify_claims(&world.claim_ports()).await;
    let copy = World::beside(world.clock.clone(), world.cluster.clone()).await;
    verify_claims(&copy.claim_ports()).await;
    let ports = CreateNamespacePorts {
        namespaces: &copy.store.database,
        clusters: &copy.claimed(),
        signals: &copy.signals,
    };
    let wanted = CreateNamespace {
        name: NamespaceName::parse("asked").unwrap(),
        cluster: None,
        default_limit: 2,
    };
    let watch = Stopwatch::start();
    let made = create_namespace(ports, &copy.ada(), wanted, &mut rng(), copy.now()).await;
    assert_eq!(made.unwrap().status, NamespaceStatus::Provisioning);
    assert!(!watch.is_over(std::time::Duration::from_secs(5)));
    assert!(copy.cluster.namespaces().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_restored_stops_until_it_has_claimed() {
    // R9
    let world = World::settled().await;
    verify(&world).await;
    let before = known(&world).await;
    raise(&world).await;
    go_back_to(&world, &before).await;
    assert_eq!(verify(&world).await, ClaimState::Behind);
    assert_eq!(raise(&world).await, ClaimState::Behind);
    assert_eq!(known(&world).await.counter, before.counter);
    claim(&world).await;
    assert_eq!(verify(&world).await, ClaimState::Held);
    assert!(known(&world).await.look_for_missing);
    assert_eq!(raise(&world).await, ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_restored_or_replaced_is_left_alone() {
    // R9
    let world = World::settled().await;
    verify(&world).await;
    let backup = world.cluster.claim();
    raise(&world).await;
    raise(&world).await;
    world.cluster.set_claim(backup);
    assert_eq!(verify(&world).await, ClaimState::ClusterBehind);
    claim(&world).await;
    assert_eq!(verify(&world).await, ClaimState::Held);

    // Another cluster under the same name, empty or with a claim that was carried there.
    world.cluster.set_uid("another");
    assert_eq!(verify(&world).await, ClaimState::OtherCluster);
    world.cluster.set_claim(None);
    assert_eq!(verify(&world).await, ClaimState::OtherCluster);
    assert_eq!(raise(&world).await, ClaimState::OtherCluster);
    assert_eq!(world.cluster.claim(), None);
    claim(&world).await;
    assert_eq!(verify(&world).await, ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_that_died_between_its_writes_is_no_restore() {
    // R9
    let world = World::settled().await;
    verify(&world).await;
    let cluster = world.cluster_name();
    let database = &world.store.database;
    assert!(database.raise_claim(&cluster, 1, 2).await.unwrap());
    assert_eq!(verify(&world).await, ClaimState::Held);
    assert_eq!(raise(&world).await, ClaimState::Held);
    assert_eq!(known(&world).await.counter, 2);
    assert_eq!(world.cluster.claim().unwrap().counter, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn raises_of_others_in_between_never_look_like_a_restore() {
    // R9: one instance looks while others of the same database sweep.
    let world = Arc::new(World::settled().await);
    verify(&world).await;
    let raising = (0..4).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for _ in 0..25 {
                assert_eq!(raise(&world).await, ClaimState::Held);
            }
        })
    });
    let raising: Vec<_> = raising.collect();
    for _ in 0..100 {
        assert_eq!(verify(&world).await, ClaimState::Held);
    }
    for raised in raising {
        raised.await.unwrap();
    }
    let counter = world.cluster.claim().unwrap().counter;
    assert_eq!(known(&world).await.counter, counter);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_right_to_the_claim_work_goes_on_and_nothing_is_removed() {
    // R9: an older version's manifest.
    let world = World::settled().await;
    world.cluster.permit_claim(false);
    assert_eq!(raise(&world).await, ClaimState::NotPermitted);
    let namespace = world.namespace("any").await;
    let clusters = world.claimed();
    clusters.provision(&namespace).await.unwrap();
    let found = NamespaceProvisioner::survey(&clusters, &world.cluster_name())
        .await
        .unwrap();
    let refused = clusters.discard(&found[0]).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );
    assert_eq!(world.cluster.namespaces().len(), 1);
    // The manifest is applied: it is taken by itself.
    world.cluster.permit_claim(true);
    assert_eq!(raise(&world).await, ClaimState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_away_is_verified_before_anything_is_done() {
    // R9
    let world = World::settled().await;
    verify_claims(&world.claim_ports()).await;
    world.cluster.set_up(false);
    verify_claims(&world.claim_ports()).await;
    let clusters = world.claimed();
    let name = world.cluster_name();
    assert_eq!(clusters.claim(&name), ClaimState::Unknown);
    // It is back, and another one.
    world.cluster.set_uid("another");
    world.cluster.set_up(true);
    let namespace = world.namespace("any").await;
    assert!(clusters.provision(&namespace).await.is_err());
    verify_claims(&world.claim_ports()).await;
    assert_eq!(clusters.claim(&name), ClaimState::OtherCluster);
    assert!(world.cluster.namespaces().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_what_a_claim_would_do() {
    // R9
    let world = World::settled().await;
    verify(&world).await;
    let before = known(&world).await;
    let names = ["whole", "bent", "lost", "deleted"];
    let mut made = Vec::new();
    for name in names {
        let namespace = world.namespace(name).await;
        world.cluster.provision(&namespace).await.unwrap();
        made.push(namespace);
    }
    let [_, bent, lost, deleted] = &made[..] else {
        panic!()
    };
    world.delete(deleted).await;
    world.reconcile().await;
    world.cluster.provision(deleted).await.unwrap();
    world.cluster.bend(bent.kubernetes_namespace.as_str());
    world
        .cluster
        .lose_namespace(lost.kubernetes_namespace.as_str());
    let (_, secret) = world.key(Scopes::All).await;
    world.mint(&secret, made[0].id).await.unwrap();
    let stranger = World::beside(world.clock.clone(), world.cluster.clone()).await;
    let unknown = stranger.namespace("unknown").await;
    world.cluster.provision(&unknown).await.unwrap();
    world.clock.advance(Duration::SECOND);
    raise(&world).await;
    go_back_to(&world, &before).await;

    let preview = preview(&world).await;
    assert_eq!(preview.state, ClaimState::Behind);
    assert_eq!(preview.claim, world.cluster.claim());
    let name = |held: &remotegpu_namespaces::HeldNamespace| held.namespace_id;
    assert_eq!(
        preview.held.iter().map(name).collect::<Vec<_>>(),
        [unknown.id]
    );
    assert_eq!(preview.missing, std::slice::from_ref(lost));
    assert_eq!(preview.made, std::slice::from_ref(bent));
    assert_eq!(preview.ended, [deleted.kubernetes_namespace.as_str()]);
    assert_eq!(preview.identities_ended, 0);
    // To the stranger, all of that is unknown.
    let other = self::preview(&stranger).await;
    assert_eq!(other.state, ClaimState::Foreign);
    assert_eq!((other.held.len(), other.identities_ended), (3, 1));
    // And looking has changed nothing.
    assert_eq!(known(&world).await, before);
}
