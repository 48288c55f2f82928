//! What a tenant owns waits for the operator's word (contract R8, R7).

use remotegpu_accounts::{AuditAction, AuditFilter, AuditLog};
use remotegpu_control_plane::{
    AdoptHeld, HeldNamespaceError, Operator, adopt_namespace, claim_cluster, restore_missing,
    run_reconciler, verify_claims, want_of_held,
};
use remotegpu_namespaces::{
    HeldKind, HeldNamespaceRepository, KubernetesNamespaceName, Namespace, NamespaceName,
    NamespaceProvisioner, NamespaceStatus, WantedOfHeld,
};
use remotegpu_primitives::{AccountId, Clock, NamespaceId, PageRequest};
use remotegpu_test_support::{clock::TestClock, rng, stopwatch::eventually};
use time::{Duration, OffsetDateTime};

use crate::{run_reconciler::ports, world::World};

/// A namespace of this account that stands, and that no row knows.
async fn unknown(world: &World, name: &str, account_id: AccountId) -> Namespace {
    let like = world.namespace("like").await;
    world.delete(&like).await;
    world.reconcile().await;
    let unknown = Namespace {
        id: NamespaceId::generate(world.now(), &mut rng()),
        account_id,
        kubernetes_namespace: KubernetesNamespaceName::from_stored(name.to_owned()),
        ..like
    };
    world.cluster.provision(&unknown).await.unwrap();
    world.sweep().await;
    unknown
}

fn wish(world: &World, namespace: &Namespace, account: AccountId) -> AdoptHeld {
    AdoptHeld {
        cluster: world.cluster_name(),
        kubernetes_namespace: namespace.kubernetes_namespace.clone(),
        account,
        name: None,
        is_confirmed: false,
    }
}

async fn adopt(world: &World, wish: &AdoptHeld) -> Result<NamespaceName, HeldNamespaceError> {
    let database = &world.store.database;
    let operator = Operator::at_the_command_line();
    adopt_namespace(database, database, operator, wish, &mut rng(), world.now()).await
}

async fn want(
    world: &World,
    name: &KubernetesNamespaceName,
    wanted: WantedOfHeld,
) -> Result<(), HeldNamespaceError> {
    let (database, cluster) = (&world.store.database, world.cluster_name());
    let operator = Operator::at_the_command_line();
    let place = (&cluster, name);
    want_of_held(database, operator, place, wanted, &mut rng(), world.now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_namespace_keeps_its_identifier_and_gets_its_labels() {
    // R8
    let world = World::settled().await;
    let nobody = AccountId::generate(world.now(), &mut rng());
    let found = unknown(&world, "team-ml-x7k2pq", nobody).await;
    let account = world.ada.account.id;
    let name = adopt(&world, &wish(&world, &found, account)).await.unwrap();
    assert_eq!(name.as_str(), "team-ml");
    assert!(world.held().await.is_empty());
    let adopted = Namespace {
        account_id: account,
        ..found
    };
    let row = world.find(&adopted).await.unwrap();
    assert_eq!(row.status, NamespaceStatus::Provisioning);
    assert_eq!(row.kubernetes_namespace, adopted.kubernetes_namespace);
    world.reconcile().await;
    assert_eq!(
        world.find(&adopted).await.unwrap().status,
        NamespaceStatus::Active
    );
    let cluster_name = adopted.kubernetes_namespace.as_str();
    assert_eq!(world.cluster.account_of(cluster_name), Some(account));
    world.clock.advance(Duration::SECOND);
    world.sweep().await;
    assert!(world.held().await.is_empty());
    // It is nothing that could be adopted again.
    let again = adopt(&world, &wish(&world, &adopted, account)).await;
    assert!(
        matches!(again, Err(HeldNamespaceError::NotHeld(_))),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_an_adoption_is_said() {
    // R8
    let world = World::settled().await;
    let eve = world.store.person("eve", world.now()).await.unwrap();
    let found = unknown(&world, "team-x7k2pq", eve.account.id).await;
    let ada = world.ada.account.id;
    let mut wanted = wish(&world, &found, ada);
    let other = adopt(&world, &wanted).await.unwrap_err();
    assert!(
        other.to_string().contains("eve") && other.to_string().contains("--yes"),
        "{other}"
    );
    wanted.is_confirmed = true;
    world.namespace("team").await;
    let taken = adopt(&world, &wanted).await.unwrap_err();
    assert!(matches!(taken, HeldNamespaceError::NameTaken(_)), "{taken}");
    let nobody = AccountId::generate(world.now(), &mut rng());
    let unknown_account = AdoptHeld {
        account: nobody,
        ..wanted.clone()
    };
    let refused = adopt(&world, &unknown_account).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("there is no account {nobody}"));
    wanted.name = Some(NamespaceName::parse("team-two").unwrap());
    assert_eq!(adopt(&world, &wanted).await.unwrap().as_str(), "team-two");
    let gone = adopt(&world, &wanted).await.unwrap_err();
    assert!(gone.to_string().contains("admin held list"), "{gone}");
    // A name that no namespace may have, without its end.
    let odd = unknown(&world, "all-x7k2pq", ada).await;
    let needs = adopt(&world, &wish(&world, &odd, ada)).await.unwrap_err();
    assert!(needs.to_string().contains("--name"), "{needs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_namespace_goes_when_the_operator_says_so_and_by_its_uid() {
    // R8
    let world = World::settled().await;
    let found = unknown(&world, "team-x7k2pq", world.ada.account.id).await;
    let name = found.kubernetes_namespace.clone();
    want(&world, &name, WantedOfHeld::Delete).await.unwrap();
    let twice = want(&world, &name, WantedOfHeld::Delete).await.unwrap_err();
    assert!(twice.to_string().contains("already"), "{twice}");
    let adopted = adopt(&world, &wish(&world, &found, world.ada.account.id)).await;
    assert!(matches!(adopted, Err(HeldNamespaceError::AlreadyWanted(_))));
    // Another one stands under the name by now.
    world.cluster.lose_namespace(name.as_str());
    world.cluster.provision(&found).await.unwrap();
    world.settle_held().await;
    assert_eq!(world.cluster.namespaces(), [name.as_str()]);
    world.sweep().await;
    want(&world, &name, WantedOfHeld::Delete).await.unwrap();
    world.settle_held().await;
    assert!(world.cluster.namespaces().is_empty() && world.held().await.is_empty());
    let missing = want(&world, &name, WantedOfHeld::Restore).await;
    assert!(matches!(
        missing,
        Err(HeldNamespaceError::NotHeld(HeldKind::Missing))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_namespace_that_hangs_keeps_no_other_waiting() {
    // R8, R10
    let world = World::settled().await;
    let account = world.ada.account.id;
    let mut names = Vec::new();
    // More of them than there are places.
    for number in 0..6 {
        let found = unknown(&world, &format!("team-{number}-x7k2pq"), account).await;
        names.push(found.kubernetes_namespace);
    }
    let (hanging, other) = names.split_at(5);
    world
        .cluster
        .hang(hanging.iter().map(KubernetesNamespaceName::as_str));
    for name in hanging {
        want(&world, name, WantedOfHeld::Delete).await.unwrap();
    }
    let reconciling = tokio::spawn(run_reconciler(ports(&world), rng()));
    let other = &other[0];
    want(&world, other, WantedOfHeld::Delete).await.unwrap();
    eventually(
        "it is gone",
        std::time::Duration::from_secs(10),
        async || {
            !world
                .cluster
                .namespaces()
                .contains(&other.as_str().to_owned())
        },
    )
    .await;
    assert_eq!(world.cluster.namespaces().len(), hanging.len());
    reconciling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_after_a_restore_is_made_again_only_when_asked() {
    // R7, R8
    let world = World::settled().await;
    let [kept, lost, other] = [
        world.namespace("kept").await,
        world.namespace("lost").await,
        world.namespace("other").await,
    ];
    for namespace in [&kept, &lost, &other] {
        world.cluster.provision(namespace).await.unwrap();
    }
    verify_claims(&world.claim_ports()).await;
    world.clock.advance(Duration::SECOND);
    let name = |namespace: &Namespace| namespace.kubernetes_namespace.as_str().to_owned();
    world.cluster.lose_namespace(&name(&lost));
    world.cluster.bend(&name(&other));
    let ports = world.operator_ports();
    let operator = Operator::at_the_command_line();
    claim_cluster(ports, operator, &world.cluster_name(), world.now())
        .await
        .unwrap();
    for _ in 0..3 {
        world.sweep().await;
    }
    // What stands is put right, and what does not stays away.
    assert!(world.cluster.is_whole(&name(&other)));
    let mut left = [name(&kept), name(&other)];
    left.sort_unstable();
    assert_eq!(world.cluster.namespaces(), left);
    let held = world.held().await;
    assert_eq!(held.len(), 1);
    assert_eq!(
        (held[0].kind, held[0].namespace_id),
        (HeldKind::Missing, lost.id)
    );
    // What somebody deletes in ordinary running is put right as ever.
    world.cluster.lose_namespace(&name(&kept));
    world.sweep().await;
    assert!(world.cluster.is_whole(&name(&kept)));

    let lost_name = lost.kubernetes_namespace.clone();
    let deleted = want(&world, &lost_name, WantedOfHeld::Delete).await;
    assert!(matches!(
        deleted,
        Err(HeldNamespaceError::NotHeld(HeldKind::Held))
    ));
    want(&world, &lost_name, WantedOfHeld::Restore)
        .await
        .unwrap();
    world.settle_held().await;
    assert!(world.cluster.is_whole(&name(&lost)));
    assert!(world.held().await.is_empty());
    world.sweep().await;
    assert!(world.held().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_that_its_account_deletes_is_forgotten() {
    // R8
    let world = World::settled().await;
    let lost = world.namespace("lost").await;
    world.clock.advance(Duration::SECOND);
    verify_claims(&world.claim_ports()).await;
    let database = &world.store.database;
    let ports = world.operator_ports();
    let operator = Operator::at_the_command_line();
    claim_cluster(ports, operator, &world.cluster_name(), world.now())
        .await
        .unwrap();
    world.sweep().await;
    assert_eq!(world.held().await.len(), 1);
    world.delete(&lost).await;
    world.sweep().await;
    assert!(world.held().await.is_empty());
    assert!(database.list_wanted().await.unwrap().is_empty());
}

/// A clock that goes on by a second whenever it is asked.
#[derive(Default)]
struct Ticking(TestClock);

impl Clock for Ticking {
    fn now(&self) -> OffsetDateTime {
        self.0.advance(Duration::SECOND);
        self.0.now()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_namespace_that_is_made_again_has_its_own_time_in_the_audit_log() {
    // R5, R8
    let world = World::settled().await;
    world.namespace("one").await;
    world.namespace("two").await;
    world.clock.advance(Duration::SECOND);
    verify_claims(&world.claim_ports()).await;
    let database = &world.store.database;
    let ports = world.operator_ports();
    let (operator, cluster) = (Operator::at_the_command_line(), world.cluster_name());
    claim_cluster(ports, operator, &cluster, world.now())
        .await
        .unwrap();
    world.sweep().await;
    let mut told = Vec::new();
    let tell = &mut |name: &KubernetesNamespaceName| told.push(name.clone());
    let clock = Ticking::default();
    restore_missing(database, operator, &cluster, tell, &mut rng(), &clock)
        .await
        .unwrap();
    assert_eq!(told.len(), 2);
    let filter = AuditFilter {
        action: Some(AuditAction::NamespaceRestored),
        since: None,
        ..AuditFilter::default()
    };
    let page = PageRequest::new(9, None).unwrap();
    let events = AuditLog::list(database, world.ada.account.id, filter, page).await;
    let events = events.unwrap().items;
    let [one, two] = &events[..] else {
        panic!("{events:?}");
    };
    assert_ne!(one.occurred_at, two.occurred_at);
}
