use remotegpu_accounts::{AccountRepository, LimitChange, LimitChanges};
use remotegpu_namespaces::{
    ClusterName, InsertNamespace, Namespace, NamespaceName, NamespaceRepository, NamespaceStatus,
    RenameNamespace, Tried,
};
use remotegpu_primitives::{NamespaceId, PageRequest, StoreError};
use time::Duration;

use crate::{
    on_both_databases,
    world::{LIMIT, NOW, World, act, dev, new_namespace, rng, seconds},
};

on_both_databases!(
    namespace_comes_back_as_it_was,
    names_are_unique_within_an_account_while_listed,
    the_limit_counts_what_is_listed,
    lists_are_the_accounts_own_newest_first,
    only_active_namespaces_are_renamed,
    deleting_takes_a_namespace_out_of_other_hands,
    work_is_claimed_by_one_until_its_time_is_over,
    new_work_is_told_from_what_was_tried_before,
    no_step_leads_back,
    unfinished_work_is_postponed_without_a_change,
    a_cluster_name_is_taken_for_ever,
    a_clusters_namespaces_are_listed_over_all_accounts,
    namespaces_are_found_among_identifiers_wherever_they_stand,
);

async fn find(world: &World, namespace: &Namespace) -> Option<Namespace> {
    let store: &dyn NamespaceRepository = &world.database;
    let found = store.find(namespace.account_id, namespace.id).await;
    found.unwrap()
}

fn ids(namespaces: &[Namespace]) -> Vec<NamespaceId> {
    let mut ids: Vec<_> = namespaces.iter().map(|namespace| namespace.id).collect();
    ids.sort();
    ids
}

async fn namespace_comes_back_as_it_was(world: World) {
    // N3
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let new = new_namespace(ada.account, "team-ml");
    let InsertNamespace::Inserted(made) = store.insert(&new, LIMIT, &act(NOW)).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(made.id, new.id);
    assert_eq!(made.account_id, ada.account);
    assert_eq!(made.name, new.name);
    assert_eq!(made.kubernetes_namespace, new.kubernetes_namespace);
    assert_eq!(made.cluster, new.cluster);
    assert_eq!(made.status, NamespaceStatus::Provisioning);
    assert_eq!(made.message, None);
    assert_eq!((made.created_at, made.updated_at), (NOW, NOW));
    assert_eq!(find(&world, &made).await, Some(made.clone()));
    // C6
    assert_eq!(store.find(eve.account, made.id).await.unwrap(), None);
}

async fn names_are_unique_within_an_account_while_listed(world: World) {
    // N3
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let first = world.new_namespace(ada.account, "team").await;
    world.new_namespace(eve.account, "team").await;
    let insert = async || {
        let new = new_namespace(ada.account, "team");
        store.insert(&new, LIMIT, &act(NOW)).await.unwrap()
    };
    assert_eq!(insert().await, InsertNamespace::NameTaken);
    store
        .mark_deleting(ada.account, first.id, &act(NOW))
        .await
        .unwrap();
    assert_eq!(insert().await, InsertNamespace::NameTaken);
    store.remove(first.id, NOW).await.unwrap();
    assert!(matches!(insert().await, InsertNamespace::Inserted(_)));
}

async fn the_limit_counts_what_is_listed(world: World) {
    // N3
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let first = world.new_namespace(ada.account, "one").await;
    world.new_namespace(ada.account, "two").await;
    let insert = async |name: &str, limit| {
        let new = new_namespace(ada.account, name);
        store.insert(&new, limit, &act(NOW)).await.unwrap()
    };
    assert_eq!(insert("three", 2).await, InsertNamespace::LimitReached);
    store
        .mark_deleting(ada.account, first.id, &act(NOW))
        .await
        .unwrap();
    assert_eq!(insert("three", 2).await, InsertNamespace::LimitReached);
    store.remove(first.id, NOW).await.unwrap();
    assert!(matches!(
        insert("three", 2).await,
        InsertNamespace::Inserted(_)
    ));
    let limits = LimitChanges {
        namespaces: LimitChange::Own(3),
        ..LimitChanges::default()
    };
    world
        .database
        .set_limits(ada.account, limits, &act(NOW))
        .await
        .unwrap();
    let by_own_limit = insert("four", 0).await;
    assert!(matches!(by_own_limit, InsertNamespace::Inserted(_)));
    assert_eq!(insert("five", 99).await, InsertNamespace::LimitReached);
}

async fn lists_are_the_accounts_own_newest_first(world: World) {
    // C4, C6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    world.new_namespace(eve.account, "foreign").await;
    let mut expected = Vec::new();
    for minute in 0..3 {
        let mut new = new_namespace(ada.account, &format!("n{minute}"));
        new.id = NamespaceId::generate(NOW + Duration::minutes(minute), &mut rng());
        store.insert(&new, LIMIT, &act(NOW)).await.unwrap();
        expected.insert(0, new.id);
    }
    let gone = expected.remove(1);
    store
        .mark_deleting(ada.account, gone, &act(NOW))
        .await
        .unwrap();
    store.remove(gone, NOW).await.unwrap();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest::new(1, after).unwrap();
        let page = store.list(ada.account, request).await.unwrap();
        listed.extend(page.items.iter().map(|namespace| namespace.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);
}

async fn a_clusters_namespaces_are_listed_over_all_accounts(world: World) {
    // N5
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let one = world.new_namespace(ada.account, "one").await;
    let two = world.new_namespace(eve.account, "two").await;
    let gone = world.new_namespace(eve.account, "gone").await;
    let going = world.new_namespace(eve.account, "going").await;
    for namespace in [&gone, &going] {
        store
            .mark_deleting(eve.account, namespace.id, &act(NOW))
            .await
            .unwrap();
    }
    store.remove(gone.id, NOW).await.unwrap();
    let list = async |after, limit| store.list_in(&one.cluster, after, limit).await.unwrap();
    let all = list(None, 9).await;
    let mut expected = [one.id, two.id, going.id];
    expected.sort();
    assert_eq!(
        all.iter().map(|namespace| namespace.id).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(list(None, 2).await, all[..2]);
    assert_eq!(list(Some(all[1].id), 2).await, all[2..]);
    assert_eq!(list(Some(all[2].id), 2).await, []);
    let other = ClusterName::parse("other").unwrap();
    assert_eq!(store.list_in(&other, None, 9).await.unwrap(), []);
}

async fn namespaces_are_found_among_identifiers_wherever_they_stand(world: World) {
    // N5
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let one = world.new_namespace(ada.account, "one").await;
    let gone = world.new_namespace(ada.account, "gone").await;
    let going = world.new_namespace(ada.account, "going").await;
    for namespace in [&gone, &going] {
        store
            .mark_deleting(ada.account, namespace.id, &act(NOW))
            .await
            .unwrap();
    }
    store.remove(gone.id, NOW).await.unwrap();
    let mut elsewhere = new_namespace(eve.account, "elsewhere");
    elsewhere.cluster = ClusterName::parse("elsewhere").unwrap();
    store.insert(&elsewhere, LIMIT, &act(NOW)).await.unwrap();
    let mut asked = vec![one.id, gone.id, going.id, elsewhere.id];
    // More than one query takes.
    asked.extend((0..500).map(|_| NamespaceId::generate(NOW, &mut rng())));
    let mut expected = [one.id, going.id, elsewhere.id];
    expected.sort();
    let found = store.find_among(&asked).await.unwrap();
    assert_eq!(ids(&found), expected);
    asked.reverse();
    assert_eq!(ids(&store.find_among(&asked).await.unwrap()), expected);
    assert_eq!(store.find_among(&[]).await.unwrap(), []);
}

async fn only_active_namespaces_are_renamed(world: World) {
    // N4, N6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let fresh = world.new_namespace(ada.account, "fresh").await;
    let active = world.namespace(ada.account, "active").await;
    let rename = async |account, id, name: &str| {
        let name = NamespaceName::parse(name).unwrap();
        store
            .rename(account, id, &name, &act(seconds(9)))
            .await
            .unwrap()
    };
    let to = "other";
    assert_eq!(
        rename(ada.account, fresh.id, to).await,
        RenameNamespace::NotReady
    );
    let unknown = NamespaceId::generate(NOW, &mut rng());
    for (account, id) in [(ada.account, unknown), (eve.account, active.id)] {
        assert_eq!(rename(account, id, to).await, RenameNamespace::NotFound);
    }
    assert_eq!(
        rename(ada.account, active.id, "fresh").await,
        RenameNamespace::NameTaken
    );
    assert_eq!(
        rename(ada.account, active.id, "active").await,
        RenameNamespace::Renamed(active.clone())
    );
    let expected = Namespace {
        name: NamespaceName::parse(to).unwrap(),
        updated_at: seconds(9),
        ..active.clone()
    };
    assert_eq!(
        rename(ada.account, active.id, to).await,
        RenameNamespace::Renamed(expected)
    );
    store.mark_failed(fresh.id, "no", NOW, NOW).await.unwrap();
    assert_eq!(
        rename(ada.account, fresh.id, "again").await,
        RenameNamespace::NotReady
    );
    store
        .mark_deleting(ada.account, active.id, &act(NOW))
        .await
        .unwrap();
    assert_eq!(
        rename(ada.account, active.id, "again").await,
        RenameNamespace::NotFound
    );
}

async fn deleting_takes_a_namespace_out_of_other_hands(world: World) {
    // N5, N6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let made = world.new_namespace(ada.account, "team").await;
    let claimed = store
        .claim(&dev(), None, 9, NOW, seconds(30))
        .await
        .unwrap();
    assert_eq!(ids(&claimed), [made.id]);
    let foreign = store
        .mark_deleting(eve.account, made.id, &act(seconds(1)))
        .await;
    assert_eq!(foreign.unwrap(), None);
    let going = store
        .mark_deleting(ada.account, made.id, &act(seconds(1)))
        .await;
    let going = going.unwrap().unwrap();
    assert_eq!(going.status, NamespaceStatus::Deleting);
    assert_eq!(going.updated_at, seconds(1));
    // Who made it meanwhile comes too late, and the work is due at once.
    assert!(!store.mark_active(made.id, seconds(2)).await.unwrap());
    let claimed = store
        .claim(&dev(), None, 9, seconds(1), seconds(30))
        .await
        .unwrap();
    assert_eq!(claimed, std::slice::from_ref(&going));
    // Again and again, without a second pair of hands.
    let again = store
        .mark_deleting(ada.account, made.id, &act(seconds(3)))
        .await;
    assert_eq!(again.unwrap(), Some(going));
    let claimed = store
        .claim(&dev(), None, 9, seconds(3), seconds(30))
        .await
        .unwrap();
    assert_eq!(claimed, []);
    store.remove(made.id, seconds(4)).await.unwrap();
    assert_eq!(find(&world, &made).await, None);
    let gone = store
        .mark_deleting(ada.account, made.id, &act(seconds(5)))
        .await;
    assert_eq!(gone.unwrap(), None);
    let claimed = store
        .claim(&dev(), None, 9, seconds(99), seconds(100))
        .await
        .unwrap();
    assert_eq!(claimed, []);
}

async fn work_is_claimed_by_one_until_its_time_is_over(world: World) {
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let mut all = Vec::new();
    for name in ["one", "two", "three"] {
        all.push(world.new_namespace(ada.account, name).await);
    }
    world.namespace(ada.account, "active").await;
    let first = store
        .claim(&dev(), None, 2, NOW, seconds(30))
        .await
        .unwrap();
    assert_eq!(first.len(), 2);
    let rest = store
        .claim(&dev(), None, 2, NOW, seconds(30))
        .await
        .unwrap();
    let both = [first, rest].concat();
    assert_eq!(ids(&both), ids(&all));
    assert_eq!(
        store
            .claim(&dev(), None, 9, seconds(29), NOW)
            .await
            .unwrap(),
        []
    );
    let again = store
        .claim(&dev(), None, 9, seconds(30), seconds(60))
        .await
        .unwrap();
    assert_eq!(ids(&again), ids(&all));
}

async fn new_work_is_told_from_what_was_tried_before(world: World) {
    // R10
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let made = world.new_namespace(ada.account, "made").await;
    let active = world.namespace(ada.account, "active").await;
    let due = async |at| {
        let due = store.due_work(seconds(at)).await.unwrap().into_iter();
        due.map(|due| {
            assert_eq!(due.key, dev());
            due.tried
        })
        .collect::<Vec<_>>()
    };
    let claim = async |tried, at| {
        let claimed = store
            .claim(&dev(), Some(tried), 9, seconds(at), seconds(at + 10))
            .await;
        ids(&claimed.unwrap())
    };
    assert_eq!(due(0).await, [Tried::Never]);
    assert_eq!(claim(Tried::Before, 0).await, []);
    assert_eq!(claim(Tried::Never, 0).await, [made.id]);
    // Its claim is over, it was postponed, it has failed.
    assert_eq!(due(10).await, [Tried::Before]);
    assert_eq!(claim(Tried::Never, 10).await, []);
    let wait = async |message, until, at| {
        let postponed = store.postpone(made.id, message, seconds(until), seconds(at));
        postponed.await.unwrap();
        assert_eq!(due(until).await, [Tried::Before]);
    };
    wait(None, 11, 10).await;
    wait(Some("why"), 13, 12).await;
    wait(Some("why"), 14, 13).await;
    let failed = store.mark_failed(made.id, "no", seconds(16), seconds(15));
    failed.await.unwrap();
    assert_eq!(due(16).await, [Tried::Before]);
    // That it is to go is new, and so is it of one that had nothing to be done.
    for (namespace, at) in [(&made, 17), (&active, 18)] {
        let by = act(seconds(at));
        let deleting = store.mark_deleting(ada.account, namespace.id, &by);
        deleting.await.unwrap();
    }
    assert_eq!(due(18).await, [Tried::Never]);
    assert_eq!(claim(Tried::Never, 18).await.len(), 2);
    assert_eq!(due(28).await, [Tried::Before]);
}

async fn no_step_leads_back(world: World) {
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let made = world.new_namespace(ada.account, "team").await;
    let fail = async |message: &str, at| {
        store
            .mark_failed(made.id, message, seconds(60), at)
            .await
            .unwrap();
        find(&world, &made).await.unwrap()
    };
    let failed = fail("refused", seconds(1)).await;
    assert_eq!(failed.status, NamespaceStatus::Failed);
    assert_eq!(failed.message.as_deref(), Some("refused"));
    assert_eq!(failed.updated_at, seconds(1));
    // The same again is no change; other words are one.
    assert_eq!(fail("refused", seconds(2)).await, failed);
    assert_eq!(fail("other", seconds(3)).await.updated_at, seconds(3));
    assert_eq!(
        store
            .claim(&dev(), None, 9, seconds(59), NOW)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .claim(&dev(), None, 9, seconds(60), NOW)
            .await
            .unwrap()
            .len(),
        1
    );

    assert!(store.mark_active(made.id, seconds(4)).await.unwrap());
    let active = find(&world, &made).await.unwrap();
    assert_eq!(active.status, NamespaceStatus::Active);
    assert_eq!(active.message, None);
    assert_eq!(fail("late", seconds(5)).await, active);
    assert_eq!(
        store
            .claim(&dev(), None, 9, seconds(999), NOW)
            .await
            .unwrap(),
        []
    );
    store.remove(made.id, NOW).await.unwrap();
    assert_eq!(find(&world, &made).await, Some(active));

    let deleting = store
        .mark_deleting(ada.account, made.id, &act(seconds(6)))
        .await;
    let deleting = deleting.unwrap().unwrap();
    assert_eq!(fail("late", seconds(7)).await, deleting);
    assert!(!store.mark_active(made.id, seconds(7)).await.unwrap());
    assert_eq!(find(&world, &made).await, Some(deleting));
    let unknown = NamespaceId::generate(NOW, &mut rng());
    assert!(!store.mark_active(unknown, NOW).await.unwrap());
}

async fn unfinished_work_is_postponed_without_a_change(world: World) {
    let ada = world.person("ada").await;
    let store: &dyn NamespaceRepository = &world.database;
    let made = world.new_namespace(ada.account, "team").await;
    let postpone = async |message, at| {
        store
            .postpone(made.id, message, seconds(at + 5), seconds(at))
            .await
            .unwrap();
        find(&world, &made).await.unwrap()
    };
    // How long the work has waited is reckoned from the last change.
    assert_eq!(postpone(None, 1).await, made);
    let told = postpone(Some("wait"), 2).await;
    assert_eq!(told.message.as_deref(), Some("wait"));
    assert_eq!(told.updated_at, seconds(2));
    assert_eq!(postpone(Some("wait"), 3).await, told);
    assert_eq!(
        store.claim(&dev(), None, 9, seconds(7), NOW).await.unwrap(),
        []
    );
    assert_eq!(
        store.claim(&dev(), None, 9, seconds(8), NOW).await.unwrap(),
        [told]
    );
    let cleared = postpone(None, 9).await;
    assert_eq!((cleared.message, cleared.updated_at), (None, seconds(9)));
    // Where there is no work any more, none is made.
    assert!(store.mark_active(made.id, seconds(10)).await.unwrap());
    assert_eq!(postpone(Some("late"), 11).await.message, None);
    assert_eq!(
        store
            .claim(&dev(), None, 9, seconds(99), NOW)
            .await
            .unwrap(),
        []
    );
}

async fn a_cluster_name_is_taken_for_ever(world: World) {
    // N4
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn NamespaceRepository = &world.database;
    let made = world.namespace(ada.account, "team").await;
    store
        .mark_deleting(ada.account, made.id, &act(NOW))
        .await
        .unwrap();
    store.remove(made.id, NOW).await.unwrap();
    let mut again = new_namespace(eve.account, "team");
    again.kubernetes_namespace = made.kubernetes_namespace;
    let refused = store.insert(&again, LIMIT, &act(NOW)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
}
