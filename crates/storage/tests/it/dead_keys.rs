//! Rows of keys and secrets end.

use std::collections::BTreeSet;

use remotegpu_accounts::{AuditFilter, AuditLog, AuditSubject};
use remotegpu_keys::{ApiKey, ApiKeyChange, ApiKeyRepository, NewApiKey};
use remotegpu_namespaces::IdentityRepository;
use remotegpu_primitives::{ApiKeyId, PageRequest};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_secret, seconds},
};

on_both_databases!(
    a_key_goes_when_it_has_been_dead_for_long_enough,
    a_dead_key_stays_as_long_as_a_row_of_its_identities,
    of_dead_keys_the_oldest_go_when_they_are_too_many,
    an_old_secret_goes_when_its_grace_is_over,
);

async fn ids(world: &World, person: Person) -> BTreeSet<ApiKeyId> {
    let store: &dyn ApiKeyRepository = &world.database;
    let page = PageRequest::new(200, None).unwrap();
    let keys = store.list(person.account, page).await.unwrap();
    keys.items.into_iter().map(|key| key.id).collect()
}

async fn revoke(world: &World, key: &ApiKey, at: i64) {
    let store: &dyn ApiKeyRepository = &world.database;
    let act = act(seconds(at));
    let revoked = store.revoke(key.account_id, key.id, &act);
    revoked.await.unwrap();
}

async fn expire(world: &World, key: &ApiKey, at: i64) {
    let store: &dyn ApiKeyRepository = &world.database;
    let change = ApiKeyChange {
        expires_at: Some(Some(seconds(at))),
        ..ApiKeyChange::default()
    };
    let act = act(NOW);
    let updated = store.update(key.account_id, key.id, &change, &act);
    updated.await.unwrap();
}

async fn key(world: &World, person: Person) -> (ApiKey, NewApiKey) {
    world.key(person, Scopes::All).await
}

async fn a_key_goes_when_it_has_been_dead_for_long_enough(world: World) {
    // K16
    let ada = world.person("ada").await;
    let (living, revoked, expired, both) = (
        key(&world, ada).await,
        key(&world, ada).await,
        key(&world, ada).await,
        key(&world, ada).await,
    );
    revoke(&world, &revoked.0, 10).await;
    expire(&world, &expired.0, 20).await;
    // What ended it is what counts, not when it would have ended.
    expire(&world, &both.0, 900).await;
    revoke(&world, &both.0, 30).await;
    expire(&world, &living.0, 800).await;
    let store: &dyn ApiKeyRepository = &world.database;
    let remove = async |before| store.remove_dead(seconds(before), 100).await.unwrap();
    assert_eq!(remove(10).await, 0);
    assert_eq!(remove(11).await, 1);
    assert_eq!(store.remove_dead(seconds(40), 1).await.unwrap(), 1);
    assert_eq!(ids(&world, ada).await, [living.0.id, both.0.id].into());
    assert_eq!(remove(40).await, 1);
    assert_eq!(ids(&world, ada).await, [living.0.id].into());
    // Nothing of them is left, but what was noted of them.
    for (gone, new) in [&revoked, &expired, &both] {
        let found = store.find(ada.account, gone.id).await.unwrap();
        assert_eq!(found, None);
        assert!(
            store
                .find_by_hash(&new.secret.hash)
                .await
                .unwrap()
                .is_none()
        );
        assert!(store.find_by_secret(new.secret.id).await.unwrap().is_none());
    }
    let page = PageRequest::new(200, None).unwrap();
    let filter = AuditFilter::default();
    let events = AuditLog::list(&world.database, ada.account, filter, page);
    let events = events.await.unwrap().items;
    for (gone, _) in [&revoked, &expired, &both] {
        let of_it = AuditSubject::ApiKey(gone.id);
        assert!(events.iter().any(|event| event.subject == of_it));
    }
}

async fn a_dead_key_stays_as_long_as_a_row_of_its_identities(world: World) {
    // K16
    let ada = world.person("ada").await;
    let here = world.namespace(ada.account, "here").await;
    let store: &dyn ApiKeyRepository = &world.database;
    let (used, new) = key(&world, ada).await;
    let other = key(&world, ada).await.0;
    let identity = world.identity(&used, new.secret.id, &here).await;
    revoke(&world, &used, 1).await;
    revoke(&world, &other, 2).await;
    let left = async || ids(&world, ada).await;
    assert_eq!(store.remove_dead(seconds(9), 1).await.unwrap(), 1);
    assert_eq!(left().await, [used.id].into());
    let surplus = async || store.remove_surplus(0, None, seconds(9)).await.unwrap();
    assert_eq!(surplus().await, 0);
    IdentityRepository::remove(&world.database, identity)
        .await
        .unwrap();
    assert_eq!(surplus().await, 1);
    assert!(left().await.is_empty());
}

async fn of_dead_keys_the_oldest_go_when_they_are_too_many(world: World) {
    // K16
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let here = world.namespace(ada.account, "here").await;
    let mut of_ada = Vec::new();
    for at in [5, 3, 1, 4, 2] {
        let (made, new) = key(&world, ada).await;
        if at == 1 {
            world.identity(&made, new.secret.id, &here).await;
        }
        if at % 2 == 0 {
            expire(&world, &made, at).await;
        } else {
            revoke(&world, &made, at).await;
        }
        of_ada.push((at, made.id));
    }
    let living = key(&world, ada).await.0;
    let of_bob = key(&world, bob).await.0;
    revoke(&world, &of_bob, 1).await;
    let store: &dyn ApiKeyRepository = &world.database;
    let left = async || ids(&world, ada).await;
    let expected = |times: &[i64]| {
        let of = of_ada.iter().filter(|(at, _)| times.contains(at));
        let mut all: BTreeSet<_> = of.map(|(_, id)| *id).collect();
        all.insert(living.id);
        all
    };
    // What has not ended yet does not count.
    assert_eq!(store.remove_surplus(3, None, seconds(3)).await.unwrap(), 0);
    // Nobody is looked at who has lost no key lately.
    let lately = store.remove_surplus(3, Some(seconds(5)), seconds(9));
    assert_eq!(lately.await.unwrap(), 0);
    // The first waits for its identity, and no younger one goes in its place.
    let lately = store.remove_surplus(3, Some(seconds(4)), seconds(9));
    assert_eq!(lately.await.unwrap(), 1);
    assert_eq!(left().await, expected(&[1, 3, 4, 5]));
    assert_eq!(store.remove_surplus(3, None, seconds(9)).await.unwrap(), 0);
    assert_eq!(store.remove_surplus(1, None, seconds(9)).await.unwrap(), 2);
    assert_eq!(left().await, expected(&[1, 5]));
    assert_eq!(ids(&world, bob).await, [of_bob.id].into());
}

async fn an_old_secret_goes_when_its_grace_is_over(world: World) {
    // K16
    let ada = world.person("ada").await;
    let here = world.namespace(ada.account, "here").await;
    let (rotated, first) = key(&world, ada).await;
    let store: &dyn ApiKeyRepository = &world.database;
    let identity = world.identity(&rotated, first.secret.id, &here).await;
    let second = new_secret();
    let (account, id) = (ada.account, rotated.id);
    let act = act(seconds(1));
    let rotation = store.rotate(account, id, &second, seconds(60), &act);
    rotation.await.unwrap();
    let remove = async |before| {
        let removed = store.remove_ended_secrets(seconds(before), 9).await;
        removed.unwrap()
    };
    assert_eq!(remove(60).await, 0);
    assert_eq!(remove(61).await, 0, "its identity's row stands");
    IdentityRepository::remove(&world.database, identity)
        .await
        .unwrap();
    assert_eq!(remove(61).await, 1);
    let found = async |hash| store.find_by_hash(hash).await.unwrap();
    assert!(found(&first.secret.hash).await.is_none());
    let stays = found(&second.hash).await.unwrap();
    assert_eq!((stays.key.id, stays.secret.ends_at), (id, None));
    assert_eq!(remove(9999).await, 0);
}
