//! Namespaces that wait for the operator's word (contract R8).

use remotegpu_accounts::{AuditAction, AuditFilter, AuditLog};
use remotegpu_namespaces::{
    AdoptNamespace, Adoption, BacklogSource, ClusterName, HeldKind, HeldNamespace,
    HeldNamespaceRepository, KubernetesNamespaceName, NamespaceName, NamespaceRepository,
    NamespaceStatus, WantedOfHeld,
};
use remotegpu_primitives::{AccountId, NamespaceId, PageRequest};

use crate::{
    on_both_databases,
    world::{LIMIT, NOW, World, act, dev, new_namespace, rng, seconds},
};

on_both_databases!(
    what_a_sweep_found_is_remembered_and_nothing_else,
    what_was_known_keeps_its_time_and_its_wish,
    what_has_a_row_by_now_is_not_held,
    a_wish_is_written_once_and_told_to_the_account,
    what_is_done_late_settles_no_newer_wish,
    an_adopted_namespace_keeps_its_identifier_past_every_limit,
    what_a_newer_version_wrote_is_left_alone,
    namespaces_that_were_removed_are_found,
);

fn held(name: &str, account: AccountId) -> HeldNamespace {
    HeldNamespace {
        cluster: dev(),
        kubernetes_namespace: KubernetesNamespaceName::from_stored(name.to_owned()),
        kind: HeldKind::Held,
        uid: Some(format!("uid-of-{name}")),
        namespace_id: NamespaceId::generate(NOW, &mut rng()),
        account_id: Some(account),
        first_seen_at: NOW,
        wanted: None,
    }
}

async fn listed(world: &World) -> Vec<HeldNamespace> {
    let store: &dyn HeldNamespaceRepository = &world.database;
    store.list_held(None).await.unwrap()
}

async fn what_a_sweep_found_is_remembered_and_nothing_else(world: World) {
    // R8
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    let (one, two) = (held("one", ada.account), held("two", ada.account));
    let mut elsewhere = held("one", ada.account);
    elsewhere.cluster = ClusterName::parse("elsewhere").unwrap();
    let mut missing = held("gone", ada.account);
    (missing.kind, missing.uid) = (HeldKind::Missing, None);
    let all = [one.clone(), two.clone(), missing.clone()];
    store.note_held(&dev(), &all).await.unwrap();
    let there = [elsewhere.clone()];
    store.note_held(&elsewhere.cluster, &there).await.unwrap();
    let expected = [missing, one, two.clone(), elsewhere.clone()];
    assert_eq!(listed(&world).await, expected);
    assert_eq!(
        store.list_held(Some(&elsewhere.cluster)).await.unwrap(),
        there
    );
    let mut counted = world.database.backlog(NOW).await.unwrap().held;
    counted.sort();
    assert_eq!(counted, [(dev(), 2), (elsewhere.cluster.clone(), 1)]);
    store
        .note_held(&dev(), std::slice::from_ref(&two))
        .await
        .unwrap();
    assert_eq!(listed(&world).await, [two, elsewhere]);
}

async fn what_was_known_keeps_its_time_and_its_wish(world: World) {
    // R8
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    let one = held("one", ada.account);
    store
        .note_held(&dev(), std::slice::from_ref(&one))
        .await
        .unwrap();
    let wanted = store
        .want_of_held(&one, WantedOfHeld::Delete, &act(NOW))
        .await;
    assert!(wanted.unwrap());
    let again = HeldNamespace {
        first_seen_at: seconds(45),
        ..one.clone()
    };
    store
        .note_held(&dev(), std::slice::from_ref(&again))
        .await
        .unwrap();
    let known = HeldNamespace {
        wanted: Some(WantedOfHeld::Delete),
        ..one
    };
    assert_eq!(listed(&world).await, std::slice::from_ref(&known));
    assert_eq!(store.list_wanted().await.unwrap(), [known]);
    // Another one under the same name: nobody has said anything of it.
    let other = HeldNamespace {
        uid: Some("another".to_owned()),
        ..again
    };
    store
        .note_held(&dev(), std::slice::from_ref(&other))
        .await
        .unwrap();
    assert_eq!(listed(&world).await, [other]);
    assert_eq!(store.list_wanted().await.unwrap(), []);
}

async fn what_has_a_row_by_now_is_not_held(world: World) {
    // R8: adopted after the sweep has looked.
    let ada = world.person("ada").await;
    let row = world.namespace(ada.account, "one").await;
    let mut seen = held(row.kubernetes_namespace.as_str(), ada.account);
    seen.namespace_id = row.id;
    world.database.note_held(&dev(), &[seen]).await.unwrap();
    assert_eq!(listed(&world).await, []);
}

async fn a_wish_is_written_once_and_told_to_the_account(world: World) {
    // R5, R8
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    let nobody = AccountId::generate(NOW, &mut rng());
    let (known, unknown) = (held("known", ada.account), held("unknown", nobody));
    let both = [known.clone(), unknown.clone()];
    store.note_held(&dev(), &both).await.unwrap();
    let want = async |held: &HeldNamespace, wanted| {
        let noted = store.want_of_held(held, wanted, &act(seconds(1))).await;
        noted.unwrap()
    };
    assert!(!want(&known, WantedOfHeld::Restore).await);
    for held in &both {
        assert!(want(held, WantedOfHeld::Delete).await);
        assert!(!want(held, WantedOfHeld::Delete).await);
    }
    let filter = AuditFilter {
        action: Some(AuditAction::NamespaceHeldDeleted),
        since: None,
        ..AuditFilter::default()
    };
    let page = PageRequest::new(9, None).unwrap();
    let events = AuditLog::list(&world.database, ada.account, filter, page).await;
    let events = events.unwrap().items;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].details.name.as_deref(), Some("known"));
    for held in listed(&world).await {
        store.settle_held(&held).await.unwrap();
    }
    assert_eq!(listed(&world).await, []);
}

async fn what_is_done_late_settles_no_newer_wish(world: World) {
    // R8
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    let note = async |held: &HeldNamespace| {
        let held = [held.clone()];
        store.note_held(&dev(), &held).await.unwrap();
    };
    let want = async |held: &HeldNamespace, wanted| {
        let act = act(seconds(1));
        assert!(store.want_of_held(held, wanted, &act).await.unwrap());
        listed(&world).await.remove(0)
    };
    // It went, another one stands under its name and its label, and that is to go, too.
    let first = held("one", ada.account);
    note(&first).await;
    let first = want(&first, WantedOfHeld::Delete).await;
    let mut second = first.clone();
    (second.uid, second.wanted) = (Some("another".to_owned()), None);
    note(&second).await;
    let second = want(&second, WantedOfHeld::Delete).await;
    store.settle_held(&first).await.unwrap();
    assert_eq!(listed(&world).await, std::slice::from_ref(&second));
    // That went as well, and its row is to have it back.
    let mut missing = second.clone();
    (missing.kind, missing.uid, missing.wanted) = (HeldKind::Missing, None, None);
    note(&missing).await;
    let missing = want(&missing, WantedOfHeld::Restore).await;
    store.settle_held(&second).await.unwrap();
    assert_eq!(listed(&world).await, std::slice::from_ref(&missing));
    store.settle_held(&missing).await.unwrap();
    assert_eq!(listed(&world).await, []);
}

async fn an_adopted_namespace_keeps_its_identifier_past_every_limit(world: World) {
    // R8
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    for number in 0..LIMIT {
        world
            .new_namespace(ada.account, &format!("n{number}"))
            .await;
    }
    let one = held("team-x7k2pq", ada.account);
    store
        .note_held(&dev(), std::slice::from_ref(&one))
        .await
        .unwrap();
    let adoption = |account, name: &str| Adoption {
        cluster: dev(),
        kubernetes_namespace: one.kubernetes_namespace.clone(),
        namespace_id: one.namespace_id,
        account_id: account,
        name: NamespaceName::parse(name).unwrap(),
    };
    let adopt = async |account, name: &str| {
        let adopted = store
            .adopt(&adoption(account, name), &act(seconds(2)))
            .await;
        adopted.unwrap()
    };
    let nobody = AccountId::generate(NOW, &mut rng());
    assert_eq!(adopt(nobody, "team").await, AdoptNamespace::AccountUnknown);
    assert_eq!(adopt(ada.account, "n0").await, AdoptNamespace::NameTaken);
    assert_eq!(adopt(ada.account, "team").await, AdoptNamespace::Adopted);
    // A row that stays for ever takes both its identifier and its name in the cluster.
    let again = adopt(ada.account, "again").await;
    assert_eq!(again, AdoptNamespace::IdentifierTaken);
    let other = Adoption {
        kubernetes_namespace: KubernetesNamespaceName::from_stored("other".to_owned()),
        namespace_id: NamespaceId::generate(NOW, &mut rng()),
        ..adoption(ada.account, "other")
    };
    let unknown = store.adopt(&other, &act(NOW)).await.unwrap();
    assert_eq!(unknown, AdoptNamespace::NotHeld);
    assert_eq!(listed(&world).await, []);
    let namespaces: &dyn NamespaceRepository = &world.database;
    let row = namespaces.find(ada.account, one.namespace_id).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.status, NamespaceStatus::Provisioning);
    assert_eq!(row.kubernetes_namespace, one.kubernetes_namespace);
    assert_eq!(row.name.as_str(), "team");
    let due = namespaces
        .claim(&dev(), None, 99, seconds(2), seconds(9))
        .await;
    assert!(due.unwrap().iter().any(|due| due.id == row.id));
    let filter = AuditFilter {
        action: Some(AuditAction::NamespaceAdopted),
        since: None,
        ..AuditFilter::default()
    };
    let page = PageRequest::new(9, None).unwrap();
    let events = AuditLog::list(&world.database, ada.account, filter, page).await;
    assert_eq!(events.unwrap().items.len(), 1);
}

async fn what_a_newer_version_wrote_is_left_alone(world: World) {
    // R6
    let ada = world.person("ada").await;
    let store: &dyn HeldNamespaceRepository = &world.database;
    let one = held("one", ada.account);
    store
        .note_held(&dev(), std::slice::from_ref(&one))
        .await
        .unwrap();
    world.execute("UPDATE held_namespaces SET wanted = 'polish'");
    assert_eq!(listed(&world).await, std::slice::from_ref(&one));
    world.execute("UPDATE held_namespaces SET kind = 'rusty', wanted = NULL");
    assert_eq!(listed(&world).await, []);
    let name = &one.kubernetes_namespace;
    assert_eq!(store.find_held(&dev(), name).await.unwrap(), None);
}

async fn namespaces_that_were_removed_are_found(world: World) {
    // R8
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let living = world.namespace(ada.account, "living").await;
    let gone = world.namespace(ada.account, "gone").await;
    store
        .mark_deleting(ada.account, gone.id, &act(NOW))
        .await
        .unwrap();
    let unknown = new_namespace(ada.account, "unknown").id;
    let asked = [living.id, gone.id, unknown];
    assert_eq!(store.removed_among(&asked).await.unwrap(), []);
    store.remove(gone.id, NOW).await.unwrap();
    let found = store.removed_among(&asked).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.id).collect::<Vec<_>>(),
        [gone.id]
    );
}
