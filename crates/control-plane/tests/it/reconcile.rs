//! The cluster follows the store.

use remotegpu_control_plane::{
    CreateNamespace, CreateNamespaceError, CreateNamespacePorts, RotateApiKeyPorts,
    create_namespace, rotate_api_key,
};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    IdentityRepository, Namespace, NamespaceName, NamespaceProvisioner, NamespaceRepository,
    NamespaceStatus,
};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{act, cluster::Step, rng};
use time::Duration;

use crate::world::World;

async fn create(world: &World, name: &str) -> Result<Namespace, CreateNamespaceError> {
    let database = &world.store.database;
    let ports = CreateNamespacePorts {
        namespaces: database,
        clusters: &*world.cluster,
        signals: &world.signals,
    };
    let wanted = CreateNamespace {
        name: NamespaceName::parse(name).unwrap(),
        cluster: None,
        default_limit: 2,
    };
    create_namespace(ports, &world.ada(), wanted, &mut rng(), world.now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_answered_once_it_is_active() {
    // N5
    let world = World::new().await;
    let reconciling = async {
        while world.reconcile().await.1 == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (created, ()) = tokio::join!(create(&world, "team-ml"), reconciling);
    let created = created.unwrap();
    assert_eq!(created.status, NamespaceStatus::Active);
    assert_eq!(
        world.cluster.namespaces(),
        [created.kubernetes_namespace.as_str()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_is_not_waited_for_and_is_made_up_for_later() {
    // N5, C7
    let world = World::new().await;
    world.cluster.set_up(false);
    let created = create(&world, "team-ml").await.unwrap();
    assert_eq!(created.status, NamespaceStatus::Provisioning);
    world.reconcile().await;
    let known = world.find(&created).await.unwrap();
    assert_eq!(known.status, NamespaceStatus::Provisioning);
    assert!(known.message.unwrap().contains("does not answer"));

    world.cluster.set_up(true);
    assert_eq!(world.reconcile().await.1, 0, "it is not due yet");
    world.clock.advance(Duration::seconds(6));
    world.reconcile().await;
    let known = world.find(&created).await.unwrap();
    assert_eq!(
        (known.status, known.message),
        (NamespaceStatus::Active.into(), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_the_cluster_refuses_says_why_and_may_recover() {
    // N3, N6
    let world = World::new().await;
    world.cluster.set_refusal(Some("no room"));
    world.cluster.set_up(false);
    let created = create(&world, "team-ml").await.unwrap();
    world.cluster.set_up(true);
    world.reconcile().await;
    let known = world.find(&created).await.unwrap();
    assert_eq!(known.status, NamespaceStatus::Failed);
    assert!(known.message.unwrap().ends_with("no room"));
    world.cluster.set_refusal(None);
    world.clock.advance(Duration::minutes(1));
    world.reconcile().await;
    assert_eq!(
        world.find(&created).await.unwrap().status,
        NamespaceStatus::Active
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_instance_had_claimed_is_taken_up_again() {
    // N5
    let world = World::new().await;
    world.cluster.set_up(false);
    let created = create(&world, "team-ml").await.unwrap();
    world.cluster.set_up(true);
    let database = &world.store.database;
    let until = world.now() + Duration::seconds(30);
    let claimed =
        NamespaceRepository::claim(database, &created.cluster, None, 9, world.now(), until);
    let claimed = claimed.await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(world.reconcile().await.1, 0);
    world.clock.advance(Duration::seconds(31));
    assert_eq!(world.reconcile().await.1, 1);
    assert_eq!(
        world.find(&created).await.unwrap().status,
        NamespaceStatus::Active
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_another_instance_finished_meanwhile_stays() {
    // N5: a claim had ended, and two made it at the same time.
    let world = World::new().await;
    world.cluster.set_up(false);
    let created = create(&world, "team-ml").await.unwrap();
    world.cluster.set_up(true);
    let (store, id, now) = (world.store.database.clone(), created.id, world.now());
    world.cluster.at(Step::Provision, move || {
        let store = store.clone();
        async move {
            assert!(store.mark_active(id, now).await.unwrap());
        }
    });
    assert_eq!(world.reconcile().await.1, 1);
    let known = world.find(&created).await.unwrap();
    assert_eq!(known.status, NamespaceStatus::Active);
    let name = created.kubernetes_namespace.as_str();
    assert_eq!(world.cluster.namespaces(), [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_was_deleted_while_it_was_made_goes() {
    // N5: another instance found nothing to remove before it stood.
    for is_removed in [false, true] {
        let world = World::new().await;
        world.cluster.set_up(false);
        let created = create(&world, "team-ml").await.unwrap();
        world.cluster.set_up(true);
        let (store, now) = (world.store.database.clone(), world.now());
        let (account, id) = (created.account_id, created.id);
        world.cluster.at(Step::Provision, move || {
            let store = store.clone();
            async move {
                store.mark_deleting(account, id, &act(now)).await.unwrap();
                if is_removed {
                    NamespaceRepository::remove(&store, id, now).await.unwrap();
                }
            }
        });
        assert_eq!(world.reconcile().await.1, 1);
        assert!(world.cluster.namespaces().is_empty(), "{is_removed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_loses_its_identities_first_and_then_itself() {
    // N5, X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    for _ in 0..2 {
        // N6: as often as one likes.
        let deleting = world.delete(&namespace).await.unwrap();
        assert_eq!(deleting.status, NamespaceStatus::Deleting);
    }
    assert_eq!(world.reconcile().await, (1, 1));
    assert_eq!(world.cluster.identities(), (0, 0));
    assert_eq!(world.find(&namespace).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_ends_when_its_key_expires() {
    // X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let end = world.now() + Duration::HOUR;
    let key = world
        .store
        .key(&world.ada, Scopes::All, Some(end), world.now())
        .await
        .unwrap();
    world.mint(&key.1, namespace.id).await.unwrap();
    world.clock.advance(Duration::HOUR - Duration::SECOND);
    assert_eq!(world.reconcile().await.0, 0);
    world.clock.advance(Duration::SECOND);
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_loses_its_identity_after_its_grace() {
    // X9, section 3
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, old) = world.key(Scopes::All).await;
    world.mint(&old, namespace.id).await.unwrap();
    let ports = RotateApiKeyPorts {
        keys: &world.store.database,
        signals: &world.signals,
        limits: &world.key_changes,
    };
    let grace = Duration::minutes(5);
    let rotated = rotate_api_key(ports, &world.ada(), key.id, grace, &mut rng(), world.now()).await;
    let new = rotated.unwrap().secret;
    world.mint(&old, namespace.id).await.unwrap();
    world.mint(&new, namespace.id).await.unwrap();
    assert_eq!(world.cluster.identities(), (2, 2));
    world.clock.advance(grace);
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (1, 1));
    assert!(world.mint(&new, namespace.id).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_end_as_soon_as_a_cluster_that_was_down_is_back() {
    // X9, C7
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    world.cluster.set_up(false);
    world.revoke(key.id).await;
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (1, 1));
    world.cluster.set_up(true);
    world.clock.advance(Duration::seconds(2));
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_cluster_refuses_is_tried_more_and_more_rarely() {
    // X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    let name = world.cluster.service_accounts().remove(0);
    world.cluster.keep([&*name]);
    world.revoke(key.id).await;
    let tried = async |after: i64| {
        world.clock.advance(Duration::seconds(after));
        world.reconcile().await.0
    };
    // One second at first, half of what has passed later, and 30 at the most.
    for (after, expected) in [
        (0, 1),
        (1, 1),
        (9, 1),
        (4, 0),
        (1, 1),
        (85, 1),
        (29, 0),
        (1, 1),
    ] {
        assert_eq!(tried(after).await, expected, "{after}");
    }
    assert_eq!(world.cluster.identities(), (1, 1));
    world.cluster.keep([]);
    assert_eq!(tried(30).await, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_stays_keeps_neither_the_service_account_nor_the_namespace() {
    // X9, N5
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    world.cluster.provision(&namespace).await.unwrap();
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    world.cluster.keep_bindings(true);
    world.revoke(key.id).await;
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (0, 1));
    // It is tried again, and more and more rarely.
    let tried = async |after: i64| {
        world.clock.advance(Duration::seconds(after));
        world.reconcile().await.0
    };
    for (after, expected) in [(1, 1), (20, 1), (9, 0), (2, 1)] {
        assert_eq!(tried(after).await, expected, "{after}");
    }
    assert_eq!(world.cluster.identities(), (0, 1));

    // The namespace takes it along.
    world.delete(&namespace).await.unwrap();
    world.clock.advance(Duration::seconds(1));
    assert_eq!(world.reconcile().await.1, 1);
    assert_eq!(world.find(&namespace).await, None);
    assert!(world.cluster.namespaces().is_empty());
    assert_eq!(tried(60).await, 0, "nothing is remembered of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_a_cluster_that_is_not_configured_is_left_to_who_knows_it() {
    // X9
    let world = World::new().await;
    let (store, now) = (&world.store, world.now());
    let namespace = store.namespace_in("elsewhere", &world.ada, "team-ml", now);
    let namespace = namespace.await.unwrap();
    let (key, secret) = store.key(&world.ada, Scopes::All, None, now).await.unwrap();
    // Its row stands before any cluster is asked.
    world.mint(&secret, namespace.id).await.unwrap_err();
    let account = world.ada.account.id;
    store
        .database
        .revoke(account, key.id, &act(now))
        .await
        .unwrap();
    assert_eq!(world.reconcile().await.0, 0);
    // Nothing was claimed: an instance that knows the cluster gets it at once.
    let claimed =
        store
            .database
            .claim_ended(&namespace.cluster, None, 9, now, now + Duration::SECOND);
    assert_eq!(claimed.await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_no_more_namespaces_than_it_may_have() {
    // N3
    let world = World::new().await;
    world.cluster.set_up(false);
    create(&world, "a").await.unwrap();
    let taken = create(&world, "a").await;
    assert!(
        matches!(taken, Err(CreateNamespaceError::NameTaken)),
        "{taken:?}"
    );
    create(&world, "b").await.unwrap();
    let full = create(&world, "c").await;
    assert!(
        matches!(full, Err(CreateNamespaceError::LimitReached)),
        "{full:?}"
    );
}
