//! What an instance does besides answering.

use std::{future::pending, sync::Arc, time::Duration};

use remotegpu_accounts::{NewSession, PlainSession, Session, SessionPolicy, SessionRepository};
use remotegpu_control_plane::{KeyUses, ReconcilerPorts, Signals, run_reconciler};
use remotegpu_namespaces::NamespaceProvisioner;
use remotegpu_primitives::SessionId;
use remotegpu_test_support::{act, rng};

use crate::world::World;

fn ports(world: &World) -> ReconcilerPorts {
    let database = Arc::new(world.store.database.clone());
    ReconcilerPorts {
        accounts: database.clone(),
        clusters: world.cluster.clone(),
        keys: database.clone(),
        sessions: database.clone(),
        session_policy: SessionPolicy::default(),
        namespaces: database.clone(),
        held: database.clone(),
        claims: world.claim_ports(),
        identities: database.clone(),
        provisioner: world.cluster.clone(),
        mint: world.cluster.clone(),
        signals: Arc::new(Signals::default()),
        sweeps: Arc::default(),
        uses: Arc::new(KeyUses::default()),
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
    world
        .cluster
        .during_provision(Box::new(|| Box::pin(pending())));
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
        while database
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
