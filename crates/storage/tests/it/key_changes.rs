//! What instances are told of changes (contract K13).

use std::{
    collections::HashSet,
    time::{Duration as Span, Instant},
};

use remotegpu_accounts::{AccountRepository, Role};
use remotegpu_keys::{
    ApiKeyChange, ApiKeyRepository, KeyChange, KeyChangeFeed, KeyChangeSubscription, KeyNews,
};
use remotegpu_primitives::StoreError;
use remotegpu_scopes::Scopes;

use crate::world::{Guard, NOW, World, act, new_secret, seconds};

crate::on_both_databases!(
    every_change_that_decides_about_keys_is_told,
    uses_are_not_told,
    an_undisturbed_subscription_says_so_every_second,
    what_another_instance_commits_is_told_before_it_is_said_that_all_is,
);

/// A subscription has this long for what it should tell at once.
const SOON: Span = Span::from_secs(10);

/// What is told until everything up to now has been.
async fn told(subscription: &mut dyn KeyChangeSubscription) -> Vec<KeyChange> {
    let (started, mut told) = (Instant::now(), Vec::new());
    loop {
        let next = tokio::time::timeout(SOON, subscription.next()).await;
        match next.unwrap().unwrap() {
            KeyNews::Changed(change) if !told.contains(&change) => told.push(change),
            KeyNews::UpTo(moment) if moment >= started => return told,
            KeyNews::Changed(_) | KeyNews::UpTo(_) => {}
        }
    }
}

async fn every_change_that_decides_about_keys_is_told(world: World) {
    let ada = world.person("ada").await;
    let (key, _) = world.key(ada, Scopes::All).await;
    let (other, _) = world.key(ada, Scopes::All).await;
    let store: &dyn ApiKeyRepository = &world.database;
    let mut told_of = world.database.subscribe().await.unwrap();
    let of_key = vec![KeyChange::Key(key.id)];

    let change = ApiKeyChange {
        expires_at: Some(Some(seconds(60))),
        ..ApiKeyChange::default()
    };
    store
        .update(ada.account, key.id, &change, &act(NOW))
        .await
        .unwrap();
    assert_eq!(told(&mut *told_of).await, of_key);
    let secret = new_secret();
    let by = act(NOW);
    let rotated = store.rotate(ada.account, key.id, &secret, seconds(5), &by);
    rotated.await.unwrap();
    assert_eq!(told(&mut *told_of).await, of_key);
    store.revoke(ada.account, key.id, &act(NOW)).await.unwrap();
    assert_eq!(told(&mut *told_of).await, of_key);
    // K16: rows that go, after 90 days or a grace.
    let removed = store.remove_ended_secrets(seconds(60), 9).await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(told(&mut *told_of).await, of_key);
    assert_eq!(store.remove_dead(seconds(60), 9).await.unwrap(), 1);
    assert_eq!(told(&mut *told_of).await, of_key);

    world
        .database
        .suspend(ada.account, &act(NOW))
        .await
        .unwrap();
    let of_account = [KeyChange::Account(ada.account)];
    assert_eq!(told(&mut *told_of).await, of_account);
    world.database.resume(ada.account, &act(NOW)).await.unwrap();
    assert_eq!(told(&mut *told_of).await, of_account);

    // K15: who made keys comes, is demoted, goes; also by hand.
    let eve = world.member("eve", ada.account, Role::Write).await;
    let of_maker = [KeyChange::Maker(eve)];
    assert_eq!(told(&mut *told_of).await, of_maker);
    world.execute("UPDATE memberships SET role = 'read' WHERE role = 'write'");
    assert_eq!(told(&mut *told_of).await, of_maker);
    world.execute("DELETE FROM memberships WHERE role = 'read'");
    assert_eq!(told(&mut *told_of).await, of_maker);
    world.execute("UPDATE api_keys SET name = 'x' WHERE revoked_at IS NULL");
    assert_eq!(told(&mut *told_of).await, [KeyChange::Key(other.id)]);
}

async fn uses_are_not_told(world: World) {
    // K14
    let ada = world.person("ada").await;
    let (key, _) = world.key(ada, Scopes::All).await;
    let mut told_of = world.database.subscribe().await.unwrap();
    let store: &dyn ApiKeyRepository = &world.database;
    store.record_use(&[(key.id, NOW)]).await.unwrap();
    world.session(ada).await;
    assert_eq!(told(&mut *told_of).await, []);
}

async fn an_undisturbed_subscription_says_so_every_second(world: World) {
    // K13
    let mut told_of = world.database.subscribe().await.unwrap();
    let mut last = None;
    for _ in 0..3 {
        let next = tokio::time::timeout(SOON, told_of.next()).await;
        let KeyNews::UpTo(moment) = next.unwrap().unwrap() else {
            panic!("nothing has changed");
        };
        assert!(last.is_none_or(|last| last < moment));
        last = Some(moment);
    }
}

async fn what_another_instance_commits_is_told_before_it_is_said_that_all_is(world: World) {
    // K13: 100 changes, each committed before the moment that is asked for.
    let ada = world.person("ada").await;
    let mut told_of = world.database.subscribe().await.unwrap();
    let other = world.instance().await;
    let mut expected = HashSet::new();
    for _ in 0..20 {
        let (key, _) = world.key(ada, Scopes::All).await;
        ApiKeyRepository::revoke(&other, ada.account, key.id, &act(NOW))
            .await
            .unwrap();
        expected.insert(key.id);
    }
    let told = told(&mut *told_of).await;
    for id in expected {
        assert!(told.contains(&KeyChange::Key(id)), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_whose_connection_ends_is_over() {
    // K13
    let world = World::postgres().await;
    let mut told_of = world.database.subscribe().await.unwrap();
    assert_eq!(told(&mut *told_of).await, []);
    world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    let ended = tokio::time::timeout(SOON, async {
        loop {
            if let Err(error) = told_of.next().await {
                return error;
            }
        }
    });
    assert!(matches!(ended.await.unwrap(), StoreError::Unavailable(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_late_forgets_everything() {
    // K13: the table of changes keeps the last 10 000.
    let world = World::sqlite().await;
    assert!(matches!(world.guard, Guard::Sqlite(_)));
    let mut told_of = world.database.subscribe().await.unwrap();
    world.execute(
        "INSERT INTO key_changes (kind, subject) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050) \
         SELECT 'key', randomblob(16) FROM n",
    );
    let told = told(&mut *told_of).await;
    assert_eq!(told.first(), Some(&KeyChange::Everything));
    assert_eq!(told.len(), 10_000);
}
