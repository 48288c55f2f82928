//! What an instance does besides answering.

use std::{future::pending, sync::Arc, time::Duration};

use remotegpu_accounts::{NewSession, PlainSession, Session, SessionPolicy, SessionRepository};
use remotegpu_control_plane::{KeyUses, ReconcilerPorts, Signals, release_sweeps, run_reconciler};
use remotegpu_namespaces::{IdentityRepository, Namespace, NamespaceProvisioner};
use remotegpu_primitives::{ApiKeyId, InstanceId, SessionId};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{
    act,
    cluster::{Step, TestCluster},
    rng,
    stopwatch::eventually,
};

use crate::world::World;

/// Another key of the account and its identity in the namespace, by name.
async fn key_in(world: &World, namespace: &Namespace) -> (ApiKeyId, String) {
    let (key, secret) = world.key(Scopes::All).await;
    let credential = world.mint(&secret, namespace.id).await.unwrap();
    let name = credential.token.reveal().strip_prefix("token-of-").unwrap();
    (key.id, name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_that_hang_keep_no_other_waiting() {
    // X9, R10
    const HANGING: usize = 60;
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let mut hanging = Vec::new();
    for _ in 0..HANGING {
        hanging.push(key_in(&world, &namespace).await);
    }
    world.cluster.hang(hanging.iter().map(|(_, name)| &**name));
    let reconciling = tokio::spawn(run_reconciler(ports(&world), rng()));
    for (key, _) in &hanging {
        world.revoke(*key).await;
    }
    // More than there are places for, and then some that do not hang.
    for round in 0..3 {
        let (key, _) = key_in(&world, &namespace).await;
        assert_eq!(world.cluster.identities().0, HANGING + 1);
        world.revoke(key).await;
        // The first one comes after all those in line, which leave their places in turn.
        let within = Duration::from_secs(if round == 0 { 20 } else { 1 });
        let ended = eventually("it has ended", within, async || {
            world.cluster.identities().0 == HANGING
        });
        println!("{round}: ended after {:?}", ended.await);
    }
    reconciling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_hang_keep_no_other_waiting() {
    // N5, R10
    let world = World::new().await;
    let mut hanging = Vec::new();
    for number in 0..20 {
        let namespace = world.namespace(&format!("hanging-{number}")).await;
        world.cluster.provision(&namespace).await.unwrap();
        hanging.push(namespace);
    }
    let names = hanging
        .iter()
        .map(|namespace| namespace.kubernetes_namespace.as_str());
    world.cluster.hang(names);
    let reconciling = tokio::spawn(run_reconciler(ports(&world), rng()));
    for namespace in &hanging {
        world.delete(namespace).await.unwrap();
    }
    let other = world.namespace("other").await;
    world.cluster.provision(&other).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.delete(&other).await.unwrap();
    eventually("it is gone", Duration::from_secs(2), async || {
        world.find(&other).await.is_none()
    })
    .await;
    assert_eq!(world.cluster.namespaces().len(), 20);
    reconciling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_sweeps_a_cluster_and_another_soon_after_its_death() {
    // R10
    let world = World::settled().await;
    let namespace = world.namespace("team-ml").await;
    // Each has its own view of the cluster, which counts.
    let views = [(); 3].map(|()| Arc::new(TestCluster::new(world.clock.clone())));
    let instances = views.each_ref().map(|view| ReconcilerPorts {
        clusters: view.clone(),
        provisioner: view.clone(),
        mint: view.clone(),
        sweep_every: Duration::from_millis(200),
        ..ports(&world)
    });
    let mut running: Vec<_> = instances
        .iter()
        .map(|ports| tokio::spawn(run_reconciler(ports.clone(), rng())))
        .collect();
    let sweeping = |since: &[usize]| -> Vec<usize> {
        let counts = views.iter().map(|view| view.surveys());
        let grown = counts.zip(since).enumerate();
        grown
            .filter(|(_, (now, then))| now > *then)
            .map(|(index, _)| index)
            .collect()
    };
    let counts = || -> Vec<usize> { views.iter().map(|view| view.surveys()).collect() };
    eventually("one sweeps", Duration::from_secs(20), async || {
        views.iter().any(|view| view.surveys() > 3)
    })
    .await;
    let first = sweeping(&[0, 0, 0]);
    assert_eq!(first.len(), 1, "{first:?}");

    // It dies, and gives up nothing.
    running[first[0]].abort();
    let _ = (&mut running[first[0]]).await;
    let before = counts();
    let (key, _) = key_in(&world, &namespace).await;
    world.revoke(key).await;
    let store = &world.store.database;
    let ended = eventually(
        "a revocation waits for no lease",
        Duration::from_secs(1),
        async || store.count_in(namespace.id).await.unwrap() == 0,
    );
    ended.await;
    let taken = eventually("another sweeps", Duration::from_secs(10), async || {
        !sweeping(&before).is_empty()
    });
    println!("taken over after {:?}", taken.await);
    let second = sweeping(&before);
    assert!(second.len() == 1 && second != first, "{second:?}");

    // One that ends in an orderly way lets the next begin at once.
    running[second[0]].abort();
    let _ = (&mut running[second[0]]).await;
    release_sweeps(store, instances[second[0]].instance)
        .await
        .unwrap();
    let before = counts();
    let taken = eventually("the last one sweeps", Duration::from_secs(3), async || {
        !sweeping(&before).is_empty()
    });
    println!("taken over after {:?}", taken.await);
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

/// What the reconciler of an instance of this world needs.
pub fn ports(world: &World) -> ReconcilerPorts {
    let database = Arc::new(world.store.database.clone());
    ReconcilerPorts {
        accounts: database.clone(),
        clusters: world.cluster.clone(),
        keys: database.clone(),
        access_tokens: database.clone(),
        kubeconfig_tokens: database.clone(),
        dead_key_retention: time::Duration::days(90),
        sessions: database.clone(),
        forms: database.clone(),
        session_policy: SessionPolicy::default(),
        namespaces: database.clone(),
        held: database.clone(),
        claims: world.claim_ports(),
        identities: database.clone(),
        provisioner: world.cluster.clone(),
        mint: world.cluster.clone(),
        signals: Arc::new(Signals::default()),
        sweeps: Arc::default(),
        counts: Arc::default(),
        leases: database.clone(),
        instance: InstanceId::generate(world.now(), &mut rng()),
        sweep_every: Duration::from_secs(45),
        uses: Arc::new(KeyUses::default()),
        access_token_uses: Arc::default(),
        identity_uses: Arc::default(),
        audit: Arc::default(),
        audit_log: database,
        audit_retention: time::Duration::days(365),
        clock: world.clock.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_hangs_holds_up_nothing_else() {
    let world = World::settled().await;
    let bent = world.namespace("bent").await;
    world.cluster.provision(&bent).await.unwrap();
    world.cluster.bend(bent.kubernetes_namespace.as_str());
    world.cluster.at(Step::Provision, pending);
    let plain = PlainSession::generate(&mut rng());
    let session = NewSession {
        hash: plain.hash(),
        verified: world.ada.user.password.clone(),
        session: Session {
            id: SessionId::generate(world.now(), &mut rng()),
            ..world.ada.session.clone()
        },
    };
    let database = &world.store.database;
    SessionRepository::insert(database, &session, &act(world.now()))
        .await
        .unwrap();
    world.clock.advance(time::Duration::days(8));
    let reconciling = tokio::spawn(run_reconciler(ports(&world), rng()));
    let removed = async {
        let sessions: &dyn SessionRepository = database;
        while sessions
            .find_by_hash(&plain.hash())
            .await
            .unwrap()
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), removed)
        .await
        .expect("the session that has ended stays");
    assert!(!world.cluster.is_whole(bent.kubernetes_namespace.as_str()));
    reconciling.abort();
}
